"""From a call to a task: what a worker has to know beside it is put together once, and delivered once."""

from __future__ import annotations

import itertools
import os
import threading
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from reprokit.code.bundles import store
from reprokit.errors import ReprokitWarning
from reprokit.protocols import Keeping
from reprokit.recorder import origin
from reprokit.recorder.away import AwayTrunk
from reprokit.recorder.plan import subject_of
from reprokit.ship import cargo
from reprokit.ship.future import Future
from reprokit.ship.pickling import unshippable
from reprokit.ship.task import Manifest, Task, digest, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.context import Context
    from reprokit.model.records import ClosureInfo
    from reprokit.protocols import Engine
    from reprokit.ship.pickling.pickler import Sender

_NUMBERS = itertools.count(1)


class Known(NamedTuple):
    """A manifest that was made."""

    key: bytes
    manifest: Manifest
    data: bytes
    target: Any  # keeps the function's id from being used again


class Packed(NamedTuple):
    """A call, ready to be sent."""

    task: Task
    references: list[Any]
    known: Known


class Sending:
    """Makes tasks for one engine.

    Parameters
    ----------
    engine
        Where they go.
    sender
        Pickles calls.
    strict
        Whether another version of a package that a function names is an error.
    """

    def __init__(self, engine: Engine, sender: Sender, *, strict: bool) -> None:
        self._engine = engine
        self._sender = sender
        self._strict = strict
        self._known: dict[tuple[str | None, str | None, int], Known] = {}
        self._delivered: set[str] = set()
        self._lock = threading.RLock()
        self._series = os.urandom(4)

    def pack(
        self, function: Callable[..., Any], call: tuple[Any, ...], context: Context | None, *, many: bool
    ) -> Packed:
        """Make the task of a call.

        Raises
        ------
        UnshippableError
            When a part of it cannot be pickled.
        BundleTooLargeError, SecretsError
            When the project's code cannot be sent.
        """
        payload, references, bundle = self._sender.dumps(call, self._is_reference, parts=unshippable.call_parts)
        known = self._manifest(function, context, bundle)
        task = Task(
            manifest=known.key,
            number=self._series + next(_NUMBERS).to_bytes(8, "big"),
            parent=bytes.fromhex(context.run_id) if context else b"",
            payload=payload,
            many=many,
        )
        return Packed(task, self._promises(references, call, many=many), known)

    def with_cargo(self, packed: Packed) -> Task:
        """Give the task with all that it needs inside, for a worker that could not be reached otherwise."""
        inside = {cargo.MANIFEST + packed.known.key.hex(): packed.known.data}
        bundle = packed.known.manifest.bundle
        if bundle is not None:
            inside[cargo.BUNDLE + bundle] = store.data_of(bundle)
        return msgspec.structs.replace(packed.task, cargo=inside)

    def _promises(self, references: list[Any], call: tuple[Any, ...], *, many: bool) -> list[Any]:
        """Give the engine's promises among the parts of a call."""
        if not references:
            return references
        calls = call[1] if many else [call[1], call[2].values()]
        arguments = {id(value) for args in calls for value in args}
        found = []
        for one in references:
            if isinstance(one, Future):
                found.append(one.handle)
            else:
                found.append(
                    self._engine.keep(one) if isinstance(self._engine, Keeping) and id(one) not in arguments else one
                )
        return found

    def _is_reference(self, value: object) -> bool:
        if isinstance(value, Future):
            return value.handle is not None and self._engine.is_reference(value.handle)
        return self._engine.is_reference(value)

    def _manifest(self, function: Callable[..., Any], context: Context | None, bundle: str | None) -> Known:
        target = getattr(function, "__code__", function)
        key = (context.root_id if context else None, bundle, id(target))
        known = self._known.get(key)
        if known is None:
            with self._lock:
                known = self._known.get(key)
                if known is None:
                    manifest = self._describe(function, context, bundle)
                    data = encode(manifest)
                    known = Known(digest(data), manifest, data, target)
                    self._deliver(known)
                    self._known[key] = known
        return known

    def _deliver(self, known: Known) -> None:
        wanted: dict[str, bytes] = {}
        name = cargo.MANIFEST + known.key.hex()
        if name not in self._delivered:
            wanted[name] = known.data
        bundle = known.manifest.bundle
        if bundle is not None and cargo.BUNDLE + bundle not in self._delivered:
            wanted[cargo.BUNDLE + bundle] = store.data_of(bundle)
            for line in self._sender.local.warnings_of(bundle):
                warnings.warn(f"reprokit: {line}", ReprokitWarning, stacklevel=6)
        if wanted:
            self._engine.deliver(wanted)
            self._delivered.update(wanted)

    def _describe(self, function: Callable[..., Any], context: Context | None, bundle: str | None) -> Manifest:
        subject = subject_of(function)
        plan = getattr(getattr(function, "_self_stack", None), "whole", None)
        closure = _closure(subject, plan, context)
        return Manifest(
            function=subject.function or subject.name,
            name=subject.name,
            bundle=bundle,
            source_file=subject.source_file,
            source_line=subject.source_line,
            closure_digest=closure.digest if closure else None,
            packages=closure.packages if closure else {},
            strict=self._strict,
            origin=_origin(context, snapshot=plan is not None and plan.snapshot is not None) if context else None,
        )


def _origin(context: Context, *, snapshot: bool) -> origin.Origin:
    trunk = origin.trunk_of(context)
    if isinstance(trunk, AwayTrunk):  # a task sends tasks: they belong to the same root run
        return trunk.origin
    return origin.origin_of(context, snapshot=snapshot)


def _closure(subject: Any, plan: Any, context: Context | None) -> ClosureInfo | None:
    """Find out what the function depends on, and leave it with the run's folder."""
    if context is None:
        return None
    from reprokit.recorder.plan import Plan

    return origin.keep_closure(context, plan or Plan(), subject)
