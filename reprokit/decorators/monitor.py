"""``@monitor``: what happened is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from reprokit.decorators.wrapper import attach
from reprokit.recorder.plan import MonitorSpec, Plan, checked_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reprokit.protocols import Capture

F = TypeVar("F", bound="Callable[..., Any]")


@overload
def monitor(function: F, /) -> F: ...


@overload
def monitor(
    *,
    items: str | Iterable[str] = (),
    include_args: bool = False,
    include_return_value: bool = False,
    capture_output: bool = False,
    captures: Iterable[Capture] = (),
    files: Literal["auto"] | None = None,
    depends: Iterable[object] = (),
    refresh: Literal["process", "call"] | None = None,
    strict: bool | None = None,
) -> Callable[[F], F]: ...


def monitor(
    function: Any = None,
    /,
    *,
    items: str | Iterable[str] = (),
    include_args: bool = False,
    include_return_value: bool = False,
    capture_output: bool = False,
    captures: Iterable[Capture] = (),
    files: Literal["auto"] | None = None,
    depends: Iterable[object] = (),
    refresh: Literal["process", "call"] | None = None,
    strict: bool | None = None,
) -> Any:
    """Record each call of a function: arguments, code, environment, timing, result or exception.

    Parameters
    ----------
    items
        Names of ``[monitor.item.<name>.files]`` tables in the settings; their files are hashed, copied or moved into the
        run folder afterwards.
    include_args, include_return_value
        Whether arguments and return value are kept: in JSON as far as that holds them, and exactly as archives ``args``
        and ``return_value`` in the run's folder (`reprokit.archive.Archive.load` reads them back).  What no archive can
        hold is told as a fault.
    capture_output
        Whether what the function prints is kept as well; it still appears.
    captures
        Plug-ins (`reprokit.protocols.Capture`) whose findings are kept too.
    files
        ``"auto"`` also records the files that the run opens: those that it reads as *used*, those that it writes as
        *generated*.  Default: as the settings say.
    depends
        What the function depends on and its source doesn't say (see `reprokit.code.closure.of`): functions, classes,
        modules, their names (``"pkg.mod:name"``), or files.
    refresh
        ``"call"`` asks git again at each call; by default the process asks once.
    strict
        True turns what can't be recorded before the function starts into a `RecordingError`; by default it is a warning.
    """
    plan = Plan(
        monitor=MonitorSpec(
            items=(items,) if isinstance(items, str) else tuple(items),
            include_args=include_args,
            include_return_value=include_return_value,
            capture_output=capture_output,
            captures=tuple(captures),
            files=checked_files(files),
        ),
        refresh=refresh,
        strict=strict,
        depends=tuple(depends),
    )
    if function is None:
        return lambda late: attach(late, plan, "monitor")
    return attach(function, plan, "monitor")
