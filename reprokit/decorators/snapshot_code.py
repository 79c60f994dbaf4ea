"""``@snapshot_code``: the exact source that ran is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from reprokit.decorators.wrapper import attach
from reprokit.recorder.plan import Plan, SnapshotSpec, patterns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

F = TypeVar("F", bound="Callable[..., Any]")


@overload
def snapshot_code(function: F, /) -> F: ...


@overload
def snapshot_code(
    *,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    depends: Iterable[object] = (),
    refresh: Literal["process", "call"] | None = None,
) -> Callable[[F], F]: ...


def snapshot_code(
    function: Any = None,
    /,
    *,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    depends: Iterable[object] = (),
    refresh: Literal["process", "call"] | None = None,
) -> Any:
    """Keep the project's source tree as it is on disk, committed or not, in the vault.

    Parameters
    ----------
    include, exclude
        Patterns, relative to the project root, that narrow the tree.
    depends
        As in `monitor`.
    refresh
        ``"call"`` keeps the tree again at each call; by default once per process, for what is loaded is what runs.
    """
    plan = Plan(
        snapshot=SnapshotSpec(include=patterns(include), exclude=patterns(exclude)),
        refresh=refresh,
        depends=tuple(depends),
    )
    if function is None:
        return lambda late: attach(late, plan, "snapshot_code")
    return attach(function, plan, "snapshot_code")
