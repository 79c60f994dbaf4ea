"""A task in a worker: from bytes to a call in a child run, and back to bytes."""

from __future__ import annotations

import functools
import os
import threading
import traceback
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from reprokit.capture import environment
from reprokit.code import distributions
from reprokit.code.bundles import store
from reprokit.context import enter, leave
from reprokit.errors import BundleMissingError, CodeMismatchError, ReprokitError, ShipError
from reprokit.model.records import Fault
from reprokit.recorder import start
from reprokit.recorder.away import AwayProject, AwayTrunk, describe_environment
from reprokit.recorder.child import prepare_child
from reprokit.recorder.plan import Plan, Subject
from reprokit.ship import attempts, cargo
from reprokit.ship.pickling import pickler
from reprokit.ship.task import Outcome, Task, decode_manifest, decode_task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reprokit.ship.task import Manifest

_PLAN = Plan()
_KEPT = 256  # errands; a worker that serves many drivers forgets the oldest

_errands: OrderedDict[bytes, Errand] = OrderedDict()
_lock = threading.RLock()
_sender = pickler.Sender()


def work(data: bytes, *references: Any) -> Outcome:
    """Run a task.

    Parameters
    ----------
    data
        The task.
    *references
        Values of the engine's futures among its arguments.

    Returns
    -------
    Outcome
        Also when the task raised.
    """
    task = decode_task(data)
    for name, content in task.cargo.items():
        cargo.put(name, content)
    try:
        errand = _errand(task.manifest)
    except (cargo.CargoMissingError, BundleMissingError) as error:
        return Outcome("missing", str(error.args[0]).encode())
    except ReprokitError as error:
        return Outcome("refused", _failure(error))
    note = attempts.note(task.number)
    try:
        return errand.run(task, references)
    finally:
        attempts.clear(note)


class Errand:
    """What the tasks of one manifest share in this process.

    Raises
    ------
    CodeMismatchError
        When this process cannot run them as the driver would.
    """

    def __init__(self, manifest: Manifest) -> None:
        manifest.check()
        self.manifest = manifest
        self.faults = _differing(manifest)
        self.subject = Subject(
            kind="function",
            name=manifest.name,
            function=manifest.function,
            source_file=manifest.source_file,
            source_line=manifest.source_line,
        )
        tree = None
        if manifest.bundle is not None:
            cargo.need_bundle(manifest.bundle)
            tree = store.tree(manifest.bundle)
        self.project = AwayProject(manifest.origin) if manifest.origin is not None else None
        if self.project is not None and tree is not None:
            facts = self.project.facts()
            facts.apart[tree.prefix] = facts
        self._told = False

    def run(self, task: Task, references: Sequence[Any]) -> Outcome:
        """Run a task; its error becomes a part of the outcome."""
        trunk = self._trunk(task)
        outer = enter(None)  # a forked worker finds its parent's there
        token = start.sent.set((trunk, trunk.sender_id) if trunk else None)
        try:
            try:
                call = pickler.loads(task.payload, [_value(one) for one in references])
            except BaseException as error:  # noqa: BLE001 - code of the user's packages runs here
                self._record(trunk, error)
                return self._outcome(trunk, "failed", _failure(error))
            try:
                result = self._many(trunk, *call) if task.many else self._call(trunk, *call)
            except BaseException as error:  # noqa: BLE001 - as an executor of the standard library does
                return self._outcome(trunk, "failed", _failure(error))
            try:
                payload = _sender.dumps(result)[0]
            except Exception as error:  # noqa: BLE001 - whatever the result's own pickling raises
                return self._outcome(trunk, "failed", _failure(error))
            return self._outcome(trunk, "done", payload)
        finally:
            start.sent.reset(token)
            leave(outer)

    def _trunk(self, task: Task) -> AwayTrunk | None:
        manifest = self.manifest
        if manifest.origin is None or self.project is None:
            return None
        bundle = f"sha256:{manifest.bundle}" if manifest.bundle else None
        return AwayTrunk(manifest.origin, self.project, bundle, manifest.closure_digest, task.parent.hex())

    def _many(
        self, trunk: AwayTrunk | None, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]
    ) -> list[tuple[bool, Any]]:
        """Call a function several times; the first error ends it, as in a plain loop."""
        done: list[tuple[bool, Any]] = []
        for args in calls:
            try:
                done.append((True, self._call(trunk, function, args, {})))
            except BaseException as error:  # noqa: BLE001 - as an executor of the standard library does
                done.append((False, _told(error)))
                break
        return done

    def _call(
        self, trunk: AwayTrunk | None, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if trunk is None or _records_itself(function):
            return _finished(function(*args, **kwargs))
        run = prepare_child(_PLAN, self.subject, args, kwargs, parent=None, parent_id=trunk.sender_id, trunk=trunk)
        run.faults.found.extend(self.faults)
        run.begin()
        token = enter(run.context)
        try:
            result = _finished(function(*args, **kwargs))
        except BaseException as error:
            leave(token)
            status, reason = run.status_of(error)
            run.close(status, error=error, reason=reason)
            raise
        leave(token)
        run.close("complete", result=result)
        return result

    def _record(self, trunk: AwayTrunk | None, error: BaseException) -> None:
        """Record a task whose function could not even be loaded."""
        if trunk is None:
            return
        run = prepare_child(_PLAN, self.subject, (), {}, parent=None, parent_id=trunk.sender_id, trunk=trunk)
        run.begin()
        run.close("failed", error=error)

    def _outcome(self, trunk: AwayTrunk | None, state: Any, payload: bytes) -> Outcome:
        if trunk is None:
            return Outcome(state, payload)
        lines, files = trunk.take()
        if not self._told and self.project is not None:
            self._told = True
            name, data = describe_environment(self.project)
            files[name] = data
        return Outcome(state, payload, lines, files)


def _errand(key: bytes) -> Errand:
    found = _errands.get(key)
    if found is None:
        with _lock:
            found = _errands.get(key)
            if found is None:
                found = _errands[key] = Errand(decode_manifest(cargo.manifest(cargo.MANIFEST + key.hex())))
                while len(_errands) > _KEPT:
                    _errands.popitem(last=False)
    return found


def _differing(manifest: Manifest) -> list[Fault]:
    """Compare the packages that the function names with those that are installed here."""
    if not manifest.packages:
        return []
    here = {distributions.normal(package.name): package.version for package in environment.packages()}
    wrong = []
    for name, wanted in manifest.packages.items():
        found = here.get(distributions.normal(name), "none")
        if found != wanted:
            wrong.append((name, wanted, found))
    if wrong and manifest.strict:
        name, wanted, found = wrong[0]
        raise CodeMismatchError(f"{manifest.function} uses the package {name}", wanted, found)
    return [
        Fault(where=f"package {name}", error=f"the driver has {wanted}, this worker {found}")
        for name, wanted, found in wrong
    ]


def _records_itself(function: Any) -> bool:
    """Tell whether a function is decorated, so that its own decorators open the run."""
    while isinstance(function, functools.partial):
        function = function.func
    return hasattr(function, "_self_stack") or hasattr(getattr(function, "_self_parent", None), "_self_stack")


def _finished(result: Any) -> Any:
    """Run a coroutine to its end: it can't travel."""
    import inspect

    if not inspect.iscoroutine(result):
        return result
    import asyncio

    return asyncio.run(result)


def _value(reference: Any) -> Any:
    """Give the value of an engine's future; that of another task of ours is its result."""
    if not isinstance(reference, Outcome):
        return reference
    if reference.state != "done":
        error, _ = pickler.loads(reference.payload)
        raise error
    return pickler.loads(reference.payload)


def _told(error: BaseException) -> tuple[BaseException, str]:
    """Give an error with its traceback as text: the frames stay here."""
    text = "".join(traceback.format_exception(error))
    try:
        pickler.loads(_sender.dumps(error)[0])
    except Exception as why:  # noqa: BLE001 - many exceptions can't be pickled, or not rebuilt from their arguments
        error = ShipError(
            f"{type(error).__module__}.{type(error).__qualname__}: {error}", f"(the error itself can't be sent: {why})"
        )
    return error, text


def _failure(error: BaseException) -> bytes:
    return _sender.dumps(_told(error))[0]


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
