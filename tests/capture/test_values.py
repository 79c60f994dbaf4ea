"""Digests of argument values: what is equal, what differs, what is refused."""

from __future__ import annotations

import array
import collections
import copy
import copyreg
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import json
import math
import operator
import os
import pathlib
import pickle
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import types
import typing
import uuid
import weakref
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprokit.capture.values import Told, UnknownValueError, tell
from reprokit.errors import ReprokitError


def digest(value: object) -> str:
    return tell(value).digest


class Color(enum.Enum):
    RED = 1
    ALSO = "1"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Point:
    x: object
    y: object = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: object


class MyInt(int):
    pass


class MyList(list):
    pass


class MyDict(dict):
    pass


class MySet(set):
    pass


class MyStr(str):
    pass


class MyDate(dt.date):
    pass


Pair = collections.namedtuple("Pair", "a b")


class Lazy:
    def __init__(self, n: int) -> None:
        self.n = n

    @functools.cached_property
    def double(self) -> int:
        return 2 * self.n


class Touchy:
    """Any question to it is an error."""

    def __init__(self, n: int) -> None:
        self.n = n

    def _raise(self, *args: object) -> None:
        raise AssertionError("was asked")

    __eq__ = __repr__ = __str__ = __len__ = __iter__ = __bool__ = _raise
    __hash__ = None


def make(n: int):
    return lambda x: x + n


_MISSING = object()
_OTHER = object()

GOLDEN = [
    (None, "4e6b6641"),
    (True, "c4e95637"),
    (1, "207e17c3"),
    (1.0, "f38e6a64"),
    (-0.0, "4bcae123"),
    (10**5000, "be086f67"),
    ("1", "9cbe2dd8"),
    ("\ud800", "b52f3634"),
    (b"1", "c13d820a"),
    (1j, "aecc7da8"),
    ([1, "a", None], "bc4d2fa0"),
    ((1, "a", None), "456b5f51"),
    ({"lr": 0.1, "layers": [1, 2]}, "3d358dbd"),
    ({1, 2, "x"}, "0af65620"),
    (frozenset({1, 2, "x"}), "2ad74f20"),
    (range(3), "55178149"),
    (list(range(1000)), "75bd88f4"),
    (dt.datetime(2026, 1, 2, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")), "50430919"),
    (pathlib.PurePosixPath("a/b"), "9e65cd78"),
    (fractions.Fraction(1, 3), "299883f8"),
    (decimal.Decimal("1.0"), "fe9850b4"),
    (uuid.UUID(int=5), "cb46c8eb"),
    (collections.OrderedDict(a=1), "044b3f89"),
    (functools.partial(len, [1]), "d2aebe05"),
    (types.SimpleNamespace(a=1), "6b2f262c"),
]


def test_the_format_has_not_changed():
    """Golden digests: a change of any of them makes all caches of users worthless."""
    assert [digest(value)[7:15] for value, _ in GOLDEN] == [told for _, told in GOLDEN]


DISTINCT = [
    None, False, True, 0, 1, -1, 0.0, -0.0, 1.0, 0j, 1j, complex(-0.0, 1), "", "0", "1", "None", b"", b"1", bytearray(b"1"), memoryview(b"1"),
    math.inf, -math.inf, math.nan, struct.unpack(">d", bytes.fromhex("7ff8000000000001"))[0], 2**63, 10**5000, 10**5000 + 1,
    [], (), {}, set(), frozenset(), [1], (1,), {1}, frozenset({1}), {1: None}, [[1]], [1, []], [[], 1], [[1], []], [[], [1]],
    ["a", "b"], ["ab"], ["a,b"], ["ab", ""], {"a": "b"}, [("a", "b")], {("a", "b")}, {"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2, "b": 1},
    {1: "a"}, {1.0: "a"}, {True: "a"}, {"1": "a"}, range(0), range(0, 0, 2), range(1), slice(0), slice(None), ..., NotImplemented,
    Color.RED, Color.ALSO, Access.READ, Access.READ | Access.WRITE, re.IGNORECASE, int(re.IGNORECASE), Point(1), Point(1, 1), Point("1"), Slotted(1), {"x": 1, "y": 0},
    Pair(1, 2), (1, 2), [1, 2], MyInt(1), MyList([1]), MyDict({1: None}), MySet({1}), MyStr("1"), collections.OrderedDict({1: None}),
    collections.Counter({1: 1}), {1: 1}, collections.defaultdict(list, {1: 1}), collections.defaultdict(int, {1: 1}), collections.deque([1]),
    collections.deque([1], 1), collections.ChainMap({1: 1}), types.SimpleNamespace(x=1, y=0), types.MappingProxyType({1: 1}),
    array.array("d", [1]), array.array("f", [1]), array.array("b", [1]), pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("a"), pathlib.Path("a"), pathlib.Path("b"),
    decimal.Decimal(1), decimal.Decimal("1.0"), fractions.Fraction(1), uuid.UUID(int=1), re.compile("a"), re.compile(b"a"), re.compile("a", re.IGNORECASE),
    dt.date(2026, 1, 1), dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, fold=1),
    dt.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), dt.time(1), dt.timedelta(1), dt.timedelta(seconds=1), dt.UTC, zoneinfo.ZoneInfo("UTC"), MyDate(2026, 1, 1),
    ValueError("a"), ValueError("b"), TypeError("a"), OSError(2, "a"), KeyError, ValueError, int, float, Point, Color, len, print, operator.add, [1].append, [2].append, [].append,
    str.upper, str.lower, make, make(1), Lazy(1).__init__, functools.partial(make, 1), functools.partial(make, n=1), functools.partial(print, 1),
    operator.itemgetter(1), operator.itemgetter("1"), list[int], list[str], int | str, {1: 1}.keys(), {1: 1}.values(), {1: 1}.items(), b"a" * 256, b"a" * 257, "a" * 257,
    list(range(5000)), list(range(5001)), tuple(range(5000)), _MISSING, _OTHER,
]  # fmt: skip


def test_no_two_of_many_values_share_a_digest():
    """What other caches take for one: 1, 1.0 and True; "1" and b"1"; 0.0 and -0.0; a list and a tuple; joined parts."""
    known: dict[str, list[object]] = {}
    for value in [*DISTINCT, *([value] for value in DISTINCT), *((value,) for value in DISTINCT[:5])]:
        known.setdefault(digest(value), []).append(value)
    # The few that stand twice in the list above.
    assert {repr(same) for same in known.values() if len(same) > 1} <= {
        "[[1], [1]]",
        "[(1,), (1,)]",
        "[[[1]], [[1]]]",
        "[[[]], [[]]]",
    }


@pytest.mark.parametrize("number", range(len(DISTINCT)))
def test_copies_have_the_same_digest(number):
    value = DISTINCT[number]
    before = tell(value)
    try:
        copied = copy.deepcopy(value)
        loaded = pickle.loads(pickle.dumps(value))
    except (TypeError, AttributeError, pickle.PicklingError):
        assert tell(value) == before
        return
    if value not in (_MISSING, _OTHER):
        assert digest(copied) == before.digest
        assert digest(loaded) == before.digest
    assert tell(value) == before


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.complex_numbers()
    | st.text(st.characters())
    | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text() | st.integers(), inner),
)


def spelled(value: object) -> object:
    """Say a value so that two are equal only where type and content are."""
    if isinstance(value, float):
        return struct.pack(">d", value)
    if isinstance(value, complex):
        return spelled(value.real), spelled(value.imag), "complex"
    if isinstance(value, dict):
        return "dict", [(spelled(key), spelled(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [spelled(item) for item in value]
    return type(value).__name__, value


@given(plain, plain)
def test_equal_digests_mean_equal_values(first, second):
    assert (digest(first) == digest(second)) == (spelled(first) == spelled(second))
    assert digest([first, second]) == digest([copy.deepcopy(first), copy.deepcopy(second)])


@given(st.lists(st.text(min_size=1) | st.integers() | st.tuples(st.text(), st.integers())), st.randoms())
def test_the_order_in_which_a_set_was_filled_does_not_count(members, random):
    shuffled = members[:]
    random.shuffle(shuffled)
    grown = set(range(1000))  # another table inside
    grown -= set(range(1000))
    grown.update(shuffled)
    known = set(members)
    if {type(one) for one in known} and len({(type(one), one) for one in members}) == len(known):
        assert digest(known) == digest(set(shuffled)) == digest(grown)
        assert digest(frozenset(known)) == digest(frozenset(shuffled)) != digest(known)


@given(st.lists(plain, min_size=1), st.data())
def test_any_single_change_is_seen(values, data):
    place = data.draw(st.integers(0, len(values) - 1))
    changed = values[:]
    changed[place] = data.draw(plain)
    assert (digest(values) == digest(changed)) == (spelled(values[place]) == spelled(changed[place]))


def test_who_shares_a_part_does_not_count():
    """joblib #1283, #393: the digest of a value changed with the identity of its parts."""
    shared, word = ["test"], "test"
    assert digest([{"a": shared}, shared]) == digest([{"a": ["test"]}, [word]])
    assert digest(["aa", "aa"]) == digest(["aa", "aaZ"[:-1]])
    state = [Point(shared), Point(shared)]
    assert digest(state) == digest(pickle.loads(pickle.dumps(state))) == digest([Point(["test"]), Point(["test"])])


def test_parts_shared_a_thousandfold_take_no_time():
    value: list = [1]
    other: list = [1]
    for _ in range(150):
        value, other = [value, value], [other, other[:]]
    assert digest(value) == digest(other)


def test_cycles_are_told_and_deep_values_are_refused():
    a: list = [1]
    a.append(a)
    b: list = [1]
    b.append(b)
    c: list = [2]
    c.append(c)
    assert digest(a) == digest(b) != digest(c)
    d: dict = {}
    d["self"] = d
    assert digest(d) not in {digest({}), digest({"self": {}})}
    p, q = Point(1), Point(2)
    p.y, q.y = q, p
    assert digest(p) != digest(q)
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(UnknownValueError, match="nested deeper"):
        tell(deep)
    while deep:  # freed level by level
        deep = deep[0]


def test_deep_values_are_refused_with_little_stack_left():
    value: object = 1
    for _ in range(150):
        value = Point({"a": [value]})

    def down(n: int) -> None:
        if n:
            return down(n - 1)
        with pytest.raises(UnknownValueError, match="nested"):
            tell(value)

    down(sys.getrecursionlimit() - 300)


def test_dense_cyclic_graphs_are_refused_instead_of_walked_forever():
    nodes = [Point(n, []) for n in range(40)]
    for node in nodes:
        node.y.extend(nodes)
    with pytest.raises(UnknownValueError, match="refer to one another"):
        tell(nodes[0])


def test_a_tree_whose_nodes_know_their_parent_is_told():
    root = Point("root", [])
    root.y.extend(Point(n, root) for n in range(20_000))
    assert digest(root) == digest(copy.deepcopy(root))


PROGRAM = """
import sys, json, collections, types
from reprokit.capture.values import tell
class A:
    def __init__(self, **k): self.__dict__.update(k)
    def __hash__(self): return hash(str(sorted(self.__dict__.items())))
def f(): pass
v = [{"a", "b", "c", ("d", 1), b"x", 1.5}, frozenset("hello world"), {A(x="a"), A(x="b"), A(y=f)}, A(s={"x", "y", "zz"}), {frozenset("abc"), frozenset("bcd")}, f,
     type("S", (set,), {"__module__": "__main__"})("abcdef"), {"k": {"p", "q"}}]
told = [tell(x) for x in v]
print(json.dumps([[t.digest, [c.__qualname__ for c in t.code]] for t in told]))
"""


def test_processes_with_other_hash_seeds_agree():
    """dask #6718, streamlit: the builtin hash and the order of sets leaked into the key."""
    told = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "2", "3")
    }
    assert len(told) == 1
    assert json.loads(told.pop())[2][1] == ["A", "f"]


def test_objects_that_say_no_more_than_their_class_and_state():
    assert digest(Point(1, [2])) == digest(Point(1, [2]))
    assert tell(Point(1)).code == (Point,)
    assert digest(Slotted([1])) != digest(Slotted([2]))
    date, other = MyDate(2026, 1, 1), MyDate(2026, 1, 1)
    other.note = "pickling leaves it out"
    assert digest(date) != digest(other)
    several = MyInt(1)
    several.unit = "m"
    assert digest(several) != digest(MyInt(1))


def test_nothing_of_the_value_is_asked():
    assert digest(Touchy(1)) == digest(Touchy(1)) != digest(Touchy(2))
    assert digest({"a": [Touchy(1)]}) == digest({"a": [Touchy(1)]})


def test_reading_a_cached_property_changes_nothing():
    """dask #10905: a value that is looked at had another token."""
    read = Lazy(3)
    before = digest(read)
    assert read.double == 6
    assert "double" in vars(read)
    assert digest(read) == before != digest(Lazy(4))


def test_functions_are_named_and_brought_along():
    one, two = make(1), make(2)
    assert tell(make) == Told(digest(make), (make,), False)
    assert tell([one, two, one]).code == (one, two)
    assert digest([one, one, two]) != digest([one, two, two])  # which of two of one name stands where
    assert digest([one, two]) == digest([two, one])  # their order is in code
    assert tell([len, str.upper, json.dumps, dt.date, functools.partial(json.dumps, indent=1)]).code == ()
    assert tell([type(None), type(...), types.FunctionType, int | None, typing.Optional[str]]).code == ()  # noqa: UP045
    assert tell(Lazy(1).__init__).code == (Lazy.__init__, Lazy)
    assert digest(Lazy(1).__init__) != digest(Lazy(2).__init__)
    assert tell(functools.partial(make, 1)).code == (make,)
    assert digest(functools.partial(make, 1)) != digest(functools.partial(make, 2))
    with pytest.raises(UnknownValueError, match="a set has no order"):
        tell({one, two})


def test_a_wrapper_that_borrows_a_name_of_the_standard_library_is_code():
    @functools.wraps(json.dumps)
    def shadow(*args):
        return "other"

    assert tell(shadow).code == (shadow,)
    assert digest(shadow) != digest(json.dumps)


def test_a_decorated_function_is_told_by_the_function():
    import reprokit

    decorated = reprokit.monitor(make)
    assert tell(decorated).code == (decorated,) or make in tell(decorated).code


def test_bare_objects_are_known_by_the_variable_that_holds_them():
    assert digest(_MISSING) != digest(_OTHER)
    assert digest([_MISSING]) == digest([_MISSING])
    with pytest.raises(UnknownValueError, match="no module holds"):
        tell([object()])


def refused() -> list[tuple[object, str]]:
    gate, lock = socket.socket(), threading.Lock()
    gate.close()
    return [
        (gate, "socket"), (lock, "lock"), ((n for n in "ab"), "iterator"), (iter([1]), "iterator"), (map(str, "a"), "iterator"), (sys, "module"),
        (sys._getframe(), "frame"), (weakref.ref(Point), "state"), (threading.Thread(), "state"), (re.match("a", "a"), "state"), (make.__code__, "code"),
        (sys.stdout, "file"), (memoryview(array.array("b")).__class__(b"").__iter__(), "iterator"),
    ]  # fmt: skip


def test_what_cannot_be_known_is_refused_with_its_place(tmp_path):
    import contextvars
    import ctypes

    with (tmp_path / "f").open("w") as file:
        for value, why in [
            *refused(),
            (file, "file"),
            (contextvars.ContextVar("v"), "state"),
            (ctypes.pointer(ctypes.c_int(1)), "pointer"),
        ]:
            with pytest.raises(UnknownValueError, match=why) as caught:
                tell([0, {"lr": Point(value)}])
            place, kind, _ = caught.value.args
            assert place.startswith("[1]['lr'].x"), place
            assert "key={" in str(caught.value)
            assert "ignore=(" in str(caught.value)
            assert isinstance(caught.value, (ReprokitError, TypeError))
            assert kind
    with pytest.raises(UnknownValueError) as caught:
        tell({"a": {Pair(lambda: 0, iter(()))}})
    assert caught.value.args[0].startswith("['a']{member}[1]")


class Broken:
    def __reduce_ex__(self, protocol):
        raise RuntimeError("not today")


class Items:
    """Its reduction gives its items once, by an iterator."""

    def __init__(self, items):
        self.items = items

    def __reduce_ex__(self, protocol):
        return Items, ([],), None, iter(self.items)

    def append(self, item):
        self.items.append(item)


def test_reductions_are_used_as_pickling_would():
    assert digest(Items([1, 2])) == digest(Items([1, 2])) != digest(Items([1, 3]))
    with pytest.raises(UnknownValueError, match="not today"):
        tell(Broken())


def test_what_can_be_changed_is_said():
    fixed = [
        1,
        "a",
        b"a",
        (1, (2, "x")),
        frozenset({1}),
        Color.RED,
        range(3),
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        pathlib.Path("a"),
        Pair(1, 2),
    ]
    fixed += [
        len,
        make,
        Point,
        re.compile("a"),
        decimal.Decimal(1),
        fractions.Fraction(1),
        uuid.UUID(int=1),
        zoneinfo.ZoneInfo("UTC"),
        None,
        ...,
    ]
    assert [value for value in fixed if tell(value).mutable] == []
    moving = [
        [],
        {},
        set(),
        bytearray(),
        (1, []),
        Pair(1, []),
        Point(1),
        MyInt(1),
        [].append,
        functools.partial(len, []),
        (Color.RED, [1]),
        {}.keys(),
        (((), {}),),
    ]
    assert [value for value in moving if not tell(value).mutable] == []
    a = [1]
    before = digest(a)
    a.append(2)
    assert digest(a) != before


def test_exceptions_are_the_same_when_a_library_has_registered_how_to_pickle_them(monkeypatch):
    before = digest(ValueError("a"))
    monkeypatch.setitem(
        copyreg.dispatch_table, ValueError, lambda error: (ValueError, (error.args, error.__traceback__))
    )
    assert digest(ValueError("a")) == before


def test_exceptions_count_with_their_cause():
    def raised(cause):
        try:
            raise ValueError("a") from cause
        except ValueError as error:
            return error

    assert digest(raised(None)) == digest(raised(None))
    assert digest(raised(KeyError("b"))) != digest(raised(KeyError("c")))


def test_models_of_other_libraries():
    attrs, msgspec, pydantic = (pytest.importorskip(name) for name in ("attrs", "msgspec", "pydantic"))

    @attrs.define(slots=False, unsafe_hash=True, cache_hash=True)
    class WithHash:
        x: str

    class Struct(msgspec.Struct):
        x: object

    class Model(pydantic.BaseModel):
        x: int
        y: int = 0

    hashed = WithHash("a")
    hash(hashed)
    assert digest(hashed) == digest(WithHash("a")) != digest(WithHash("b"))
    assert digest(attrs.make_class("C", ["x"])(1)) != digest(attrs.make_class("C", ["x"])(2))
    assert digest(Struct([1])) == digest(Struct([1])) != digest(Struct([2]))
    assert digest(Model(x=1)) == digest(Model(x=1)) != digest(Model(x=2))
    assert digest(Model(x=1)) != digest(Model(x=1, y=0))  # model_fields_set counts: a function can ask for it


def test_fields_that_stand_outside_of_the_sequence_count():
    """A `time.struct_time` hides its zone, a `os.stat_result` its nanoseconds."""
    shown = (2026, 1, 1, 0, 0, 0, 3, 1, 0)
    assert digest(time.struct_time((*shown, "CET", 3600))) != digest(time.struct_time((*shown, "EST", -18000)))
    assert digest(time.struct_time(shown)) == digest(time.struct_time(shown))


def test_what_a_path_remembers_does_not_count():
    class Own(type(pathlib.Path())):
        pass

    path = Own("a/b")
    before = digest(path)
    assert hash(path)
    assert str(path)
    assert path.parts
    assert digest(path) == before == digest(Own("a/b")) != digest(pathlib.Path("a/b"))


def test_decorated_methods_count_with_their_instance():
    import reprokit

    class Model:
        def __init__(self, n: int) -> None:
            self.n = n

        @reprokit.monitor
        def fit(self) -> int:
            return self.n

    assert digest(Model(1).fit) == digest(Model(1).fit) != digest(Model(2).fit)
    assert Model in tell(Model(1).fit).code


@given(plain)
def test_a_small_value_and_the_same_within_another_are_encoded_alike(value):
    """The short way through small containers gives what the long way gives."""
    from reprokit.capture.values.encoder import Encoder
    from reprokit.capture.values.plain import flat

    short = flat(value)
    assert short is None or short == Encoder().value(value)
