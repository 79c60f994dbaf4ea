"""Every kind of callable under every order of the stack: one call is one run, and the function behaves as before."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
import pickle
import threading

import pytest

import reprokit as rk
from reprokit import errors
from reprokit.context import peek

MONITOR = rk.monitor
SNAPSHOT = rk.snapshot_code
ARTIFACT = rk.Artifact("outpath", allow_dirty=True)
ORDERS = list(itertools.permutations([MONITOR, SNAPSHOT, ARTIFACT]))
PAIRS = [*itertools.permutations([MONITOR, SNAPSHOT, ARTIFACT], 2), (MONITOR,), (SNAPSHOT,), (ARTIFACT,)]


def stack(function, decorators):
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


def plain(x, outpath):
    assert rk.current().function.endswith("plain")
    with open(outpath, "w") as stream:
        stream.write(str(x))
    return x, outpath


async def coroutine(x, outpath):
    run_id = rk.current().run_id
    await asyncio.sleep(0)
    assert rk.current().run_id == run_id
    return plain_body(x, outpath)


def generator(x, outpath):
    got = yield rk.current().run_id
    assert rk.current()
    yield got
    return plain_body(x, outpath)


async def async_generator(x, outpath):
    got = yield rk.current().run_id
    assert rk.current()
    yield got
    plain_body(x, outpath)


def plain_body(x, outpath):
    with open(outpath, "w") as stream:
        stream.write(str(x))
    return x, outpath


def drive(function, x, path):
    """Call any kind of function to its end, sending a value where it can be sent."""
    if inspect.isasyncgenfunction(function):

        async def consume():
            generator = function(x, path)
            await anext(generator)
            assert peek() is None
            assert await generator.asend("sent") == "sent"
            assert [item async for item in generator] == []

        asyncio.run(consume())
    elif inspect.iscoroutinefunction(function):
        return asyncio.run(function(x, path))
    elif inspect.isgeneratorfunction(function):
        steps = function(x, path)
        next(steps)
        assert peek() is None
        assert steps.send("sent") == "sent"
        with pytest.raises(StopIteration) as stop:
            next(steps)
        return stop.value.value
    else:
        return function(x, path)
    return None


@pytest.mark.parametrize(
    "decorators", ORDERS + PAIRS, ids=lambda d: "-".join(type(x).__name__ if x is ARTIFACT else x.__name__ for x in d)
)
@pytest.mark.parametrize("function", [plain, coroutine, generator, async_generator], ids=lambda f: f.__name__)
def test_one_call_is_one_run(project, function, decorators):
    decorated = stack(function, decorators)
    tagged = ARTIFACT in decorators
    got = drive(decorated, 7, "foo.txt")
    assert len(project.folders) == 1
    post = project.post()
    assert post["status"] == "complete"
    assert post["faults"] == []
    assert [a["role"] for a in post["artifacts"]] == (["generated"] if tagged else [])
    path = post["artifacts"][0]["path"] if tagged else "foo.txt"
    if got is not None:
        assert got == (7, path)
    assert (project.context()["snapshot"] is not None) == (SNAPSHOT in decorators)
    assert project.pre()["args"] == [7, "foo.txt"]
    assert peek() is None


@pytest.mark.parametrize("decorators", ORDERS)
def test_the_wrapper_looks_like_the_function(decorators):
    decorated = stack(plain, decorators)
    assert decorated.__name__ == "plain"
    assert inspect.signature(decorated) == inspect.signature(plain)
    assert inspect.iscoroutinefunction(stack(coroutine, decorators))
    assert inspect.isgeneratorfunction(stack(generator, decorators))
    assert inspect.isasyncgenfunction(stack(async_generator, decorators))
    assert decorated.__wrapped__ is plain


class Base:
    def __init__(self):
        self.seen = []

    @rk.monitor
    @rk.Artifact("outpath")
    def method(self, x, outpath):
        self.seen.append(x)
        return plain_body(x, outpath)

    @rk.monitor
    @classmethod
    @rk.Artifact("outpath")
    def below_classmethod(cls, x, outpath):
        assert issubclass(cls, Base)
        return plain_body(x, outpath)

    @classmethod
    @rk.monitor
    @rk.Artifact("outpath")
    def above_classmethod(cls, x, outpath):
        assert issubclass(cls, Base)
        return plain_body(x, outpath)

    @staticmethod
    @rk.Artifact("outpath")
    @rk.snapshot_code
    def below_static(x, outpath):
        return plain_body(x, outpath)

    @rk.Artifact("outpath")
    @staticmethod
    def above_static(x, outpath):
        return plain_body(x, outpath)

    @property
    @rk.monitor
    def prop(self):
        return len(self.seen)

    @rk.monitor
    async def coroutine(self, x):
        return x

    @rk.monitor
    def generator(self, x):
        yield x


class Derived(Base):
    @rk.monitor
    def method(self, x, outpath):
        return super().method(x, outpath)


METHODS = {
    "method": lambda p: Base().method(1, p),
    "method by keyword": lambda p: Base().method(outpath=p, x=1),
    "method through the class": lambda p: Base.method(Base(), 1, p),
    "class method below": lambda p: Base.below_classmethod(1, p),
    "class method below, from an instance": lambda p: Derived().below_classmethod(1, p),
    "class method above": lambda p: Derived.above_classmethod(1, outpath=p),
    "static below": lambda p: Base.below_static(1, p),
    "static below, from an instance": lambda p: Base().below_static(1, outpath=p),
    "static above": lambda p: Base().above_static(1, p),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_of_all_kinds(project, name):
    path = f"foo-{project.commit}-44136fa355.txt"
    assert METHODS[name]("foo.txt") == (1, path)
    assert len(project.folders) == 1
    assert [a["path"] for a in project.post()["artifacts"]] == [path]
    assert project.pre()["function"].startswith(f"{__name__}.Base.")
    # From Python 3.13 on, a classmethod hands the class to what it wraps as an ordinary argument.
    assert all(arg in (1, "foo.txt") for arg in project.pre()["args"] if not isinstance(arg, dict))


def test_super_call_is_a_child_run(project):
    Derived().method(1, "foo.txt")
    assert [(f.split(".")[-2:], s) for f, _, s in project.ended()] == [(["Base", "method"], "complete")]


def test_property_async_and_generator_methods(project):
    assert Base().prop == 0
    assert asyncio.run(Base().coroutine(4)) == 4
    assert list(Base().generator(5)) == [5]
    assert [project.post(i)["status"] for i in range(3)] == ["complete"] * 3


def foreign(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


def retry(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        for _ in range(2):
            try:
                return function(*args, **kwargs)
            except ZeroDivisionError:
                continue
        return None

    return wrapper


def test_with_a_foreign_decorator_between_they_share_one_run(project):
    @rk.monitor(include_return_value=True)
    @foreign
    @rk.snapshot_code
    @rk.Artifact("outpath", config={"a": 1})
    def f(x, outpath):
        return plain_body(x, outpath)

    _, path = f(1, "foo.txt")
    assert len(project.folders) == 1
    assert project.steps() == []
    assert project.post()["artifacts"][0]["path"] == path
    assert project.context()["snapshot"]
    assert project.context()["config"] == {"a": 1}
    assert path.endswith(f"-{project.context()['config_hash'][:10]}.txt")


def test_a_foreign_decorator_that_calls_twice_stays_in_the_run(project):
    calls = []

    @rk.monitor
    @retry
    @rk.Artifact("outpath", exists="error")
    def f(outpath):
        calls.append(outpath)
        plain_body(1, outpath)
        if len(calls) == 1:
            raise ZeroDivisionError

    f("foo.txt")
    assert len(calls) == 2
    assert calls[0] == calls[1]
    assert len(project.post()["artifacts"]) == 1
    assert len(project.folders) == 1
    assert project.steps() == []
    assert project.post()["status"] == "complete"


def test_recursion_opens_child_runs(project):
    @rk.monitor
    def factorial(n):
        return n * factorial(n - 1) if n else 1

    assert factorial(3) == 6
    root = project.pre()["run_id"]
    begins = [s for s in project.steps() if s["event"] == "begin"]
    assert [b["args"] for b in begins] == [[2], [1], [0]]
    assert [b["parent_id"] for b in begins] == [root, begins[0]["run_id"], begins[1]["run_id"]]
    assert project.post()["children"] == 3


def test_a_decorated_function_that_another_one_calls_is_a_child_run_also_in_a_closure(project):
    @rk.monitor
    def inner():
        return rk.current().parent_id

    @rk.monitor
    def outer():
        return inner(), rk.current().run_id

    parent, own = outer()
    assert parent == own
    assert [s for _, _, s in project.ended()] == ["complete"]


def test_an_exception_is_the_functions_own(project):
    error = ValueError("mine")

    @MONITOR
    @ARTIFACT
    def f(outpath):
        raise error

    with pytest.raises(ValueError, match="mine") as caught:
        f("foo.txt")
    assert caught.value is error
    assert error.__cause__ is None
    assert error.__context__ is None
    post = project.post()
    assert post["status"] == "failed"
    assert post["exception_info"]["error_type"] == "ValueError"
    assert "mine" in post["exception_info"]["error_details"]
    assert peek() is None


@pytest.mark.parametrize(
    ("error", "status"), [(SystemExit(3), "exited"), (KeyboardInterrupt(), "interrupted"), (Exception(), "failed")]
)
def test_status_of_each_ending(project, error, status):
    @rk.monitor
    def f():
        raise error

    with pytest.raises(type(error)):
        f()
    assert project.post()["status"] == status


def test_an_abandoned_generator_is_interrupted_with_the_reason(project):
    @rk.monitor
    def numbers():
        try:
            yield from range(10)
        finally:
            rk.current().record("closed", True)

    steps = numbers()
    assert [next(steps), next(steps)] == [0, 1]
    assert peek() is None
    steps.close()
    post = project.post()
    assert post["status"] == "interrupted"
    assert "closed before its end" in post["reason"]
    assert post["values"] == {"closed": True}


def test_a_generator_that_nobody_starts_is_no_run(project):
    rk.monitor(generator)(1, "a.txt")
    assert not project.folders


def test_throw_into_a_generator_reaches_the_function(project):
    @rk.monitor
    def patient():
        try:
            yield 1
        except KeyError:
            yield "caught"

    steps = patient()
    next(steps)
    assert steps.throw(KeyError()) == "caught"
    assert list(steps) == []
    assert project.post()["status"] == "complete"


def test_interleaved_generators_each_see_their_own_context(project):
    @rk.monitor
    def ids():
        while True:
            yield rk.current().run_id

    one, two = ids(), ids()
    seen = [(next(one), next(two)) for _ in range(3)]
    assert len({a for a, _ in seen}) == len({b for _, b in seen}) == 1
    assert seen[0][0] != seen[0][1]
    one.close(), two.close()
    assert len(project.folders) == 2


def test_threads_in_one_function_get_records_of_their_own(project):
    barrier = threading.Barrier(8)

    @rk.monitor(include_return_value=True)
    def f(n):
        barrier.wait(10)
        rk.current().record("n", n)
        return rk.current().run_id

    threads = [threading.Thread(target=f, args=(n,)) for n in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    posts = [project.post(i) for i in range(8)]
    pres = [project.pre(i) for i in range(8)]
    assert [p["args"] for p in pres] == [[post["values"]["n"]] for post in posts]
    assert [post["return_value"] for post in posts] == [p["run_id"] for p in pres]


def test_asyncio_tasks_are_children_of_the_run_that_started_them(project):
    @rk.monitor
    async def leaf(n):
        await asyncio.sleep(0)
        return rk.current().parent_id

    @rk.monitor
    async def root():
        return rk.current().run_id, await asyncio.gather(*(leaf(n) for n in range(20)))

    own, parents = asyncio.run(root())
    assert parents == [own] * 20
    assert [s for _, _, s in project.ended()] == ["complete"] * 20


def test_a_cancelled_task_is_interrupted(project):
    @rk.monitor
    async def wait():
        await asyncio.sleep(60)

    async def main():
        task = asyncio.create_task(wait())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert project.post()["status"] == "interrupted"
    assert project.post()["reason"] == "cancelled"


def test_pickled_by_name_when_the_name_leads_back():
    assert pickle.loads(pickle.dumps(module_level)) is module_level


def test_a_script_s_functions_stay_decorated_in_workers_that_get_them_by_value(project):
    told = project.python(
        "import cloudpickle, joblib\n"
        "import reprokit as rk\n"
        "@rk.cache\n"
        "def f(x):\n"
        "    print('RUN', flush=True)\n"
        "    return 2 * x\n"
        "if __name__ == '__main__':\n"
        "    copy = cloudpickle.loads(cloudpickle.dumps(f))\n"
        "    assert type(copy) is type(f) and copy is not f, type(copy)\n"
        "    print(joblib.Parallel(n_jobs=2)(joblib.delayed(f)(3) for _ in range(3)), copy(3))\n",
        env={"PYTHONWARNINGS": "ignore"},
    ).stdout.split("\n")
    assert told[:2] == ["RUN", "[6, 6, 6] 6"]


def test_pickled_by_parts_otherwise():
    copy = pickle.loads(pickle.dumps(rk.monitor(plain_body)))
    assert copy.__wrapped__ is plain_body


def test_cloudpickle_sends_what_a_script_defines_by_value(project):
    code = """
import cloudpickle, subprocess, sys, reprokit as rk
@rk.monitor
def f(n): return n + 1
data = cloudpickle.dumps(f)
load = "import sys, cloudpickle; print(cloudpickle.load(sys.stdin.buffer)(1))"
print(subprocess.run([sys.executable, "-c", load], input=data, capture_output=True, check=True).stdout.decode())
"""
    assert project.python(code).stdout.split() == ["2"]


@pytest.mark.parametrize("bad", [int, 5, "x", property(lambda self: 1)])
def test_what_is_no_function_is_refused(bad):
    with pytest.raises(TypeError):
        rk.monitor(bad)


def test_current_outside_a_run():
    with pytest.raises(errors.NoRunError):
        rk.current()


@rk.monitor
def module_level():
    return 1


def test_partial_lambda_and_callable_object(project):
    class Add:
        def __call__(self, x, outpath):
            return plain_body(x, outpath)

    tag = f"-{project.commit}-44136fa355.txt"
    assert rk.Artifact("outpath")(functools.partial(plain_body, 1))(outpath="a.txt")[1] == f"a{tag}"
    assert rk.Artifact("outpath")(lambda x, outpath: outpath)(1, "b.txt") == f"b{tag}"
    assert rk.Artifact("outpath")(Add())(1, "c.txt")[1] == f"c{tag}"
