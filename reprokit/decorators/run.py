"""``with run("fit") as ctx``: a block as a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

from reprokit.context import Context, enter, leave
from reprokit.recorder.plan import ArtifactSpec, MonitorSpec, Plan, SnapshotSpec, Subject, checked_files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextvars import Token
    from types import FrameType, TracebackType

    from reprokit.protocols import Capture
    from reprokit.recorder.open_run import OpenRun


class run:  # noqa: N801 - used as a statement: ``with rk.run("fit"):``
    """Record a block as a run; works with ``with`` and ``async with``.

    Parameters
    ----------
    name
        What the run is called.
    config
        As in `Artifact`; its hash goes into the names that `Context.artifact` gives.
    allow_dirty, template, exists, copy, sidecar
        As in `Artifact`, for what `Context.artifact` names.
    items, capture_output, captures, files
        As in `monitor`.
    snapshot_code
        Whether the source tree is kept.
    refresh
        ``"call"`` asks git again; by default the process asks once.
    strict
        As in `monitor`.

    Examples
    --------
    >>> with run("fit", config={"window": 12}) as ctx:  # doctest: +SKIP
    ...     path = ctx.artifact("model.json")
    ...     ctx.record("rmse", 0.12)
    """

    def __init__(
        self,
        name: str,
        *,
        config: Any = None,
        allow_dirty: bool | None = None,
        template: str | None = None,
        exists: Literal["replace", "keep", "error"] | None = None,
        copy: bool = False,
        sidecar: bool | None = None,
        items: str | Iterable[str] = (),
        capture_output: bool = False,
        captures: Iterable[Capture] = (),
        files: Literal["auto"] | None = None,
        snapshot_code: bool = False,
        refresh: Literal["process", "call"] | None = None,
        strict: bool | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"run(name) takes what the run is called, not {name!r}")
        self._name = name
        self._plan = Plan(
            artifacts=(
                ArtifactSpec(
                    config=config, allow_dirty=allow_dirty, template=template, exists=exists, copy=copy, sidecar=sidecar
                ),
            ),
            monitor=MonitorSpec(
                items=(items,) if isinstance(items, str) else tuple(items),
                capture_output=capture_output,
                captures=tuple(captures),
                files=checked_files(files),
            ),
            snapshot=SnapshotSpec() if snapshot_code else None,
            refresh=refresh,
            strict=strict,
        )
        self._open: list[tuple[OpenRun, Token[Context | None]]] = []

    def __enter__(self) -> Context:
        return self._enter(sys._getframe(1))

    def _enter(self, frame: FrameType) -> Context:
        from reprokit.recorder.start import prepare

        opened = prepare(self._plan, self._subject(frame), (), {})
        opened.begin()
        self._open.append((opened, enter(opened.context)))
        return opened.context

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        opened, token = self._open.pop()
        try:
            leave(token)
        except ValueError:  # entered in another asyncio context, as fixtures do; that one ended already
            pass
        status, reason = opened.status_of(error)
        opened.close(status, error=error, reason=reason)
        return False

    async def __aenter__(self) -> Context:
        return self._enter(sys._getframe(1))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        return self.__exit__(kind, error, trace)

    def _subject(self, frame: FrameType) -> Subject:
        return Subject(
            kind="block",
            name=self._name,
            function=self._name,
            source_file=frame.f_code.co_filename,
            source_line=frame.f_lineno,
        )
