"""``@cache``: a result is computed once for as long as nothing that it depends on changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from reprokit.decorators.wrapper import RunWrapper, attach, shape_of
from reprokit.recorder.plan import Plan, reuse_spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

F = TypeVar("F", bound="Callable[..., Any]")


@overload
def cache(function: F, /) -> F: ...


@overload
def cache(
    *,
    ignore: str | Iterable[str] = (),
    key: Mapping[str, Callable[[Any], object]] | None = None,
    assume_pure: bool = False,
    depends: Iterable[object] = (),
    strict: bool | None = None,
) -> Callable[[F], F]: ...


def cache(
    function: Any = None,
    /,
    *,
    ignore: str | Iterable[str] = (),
    key: Mapping[str, Callable[[Any], object]] | None = None,
    assume_pure: bool = False,
    depends: Iterable[object] = (),
    strict: bool | None = None,
) -> Any:
    """Keep what a function returns, and give it again when the same call was made before, in this process or another.

    The same: the code, as far as the function reaches it, the arguments, the content of the files that it read, and the
    versions of the packages that it names.  What it returned is kept as an archive in the vault (`reprokit.archive`); each
    call gets an object of its own.  A result that no archive can hold is computed each time, and a warning says so.

    Parameters
    ----------
    ignore, key, assume_pure, depends, strict
        As in `Artifact`.

    Raises
    ------
    TypeError
        When it is put on a generator function, or on something else than a function or method.

    Examples
    --------
    >>> @cache(ignore="verbose")
    ... def distances(points, verbose=False): ...
    """
    plan = Plan(
        strict=strict,
        depends=tuple(depends),
        reuse=reuse_spec(asked=True, ignore=ignore, key=key, assume_pure=assume_pure),
    )

    def put_on(late: Any) -> Any:
        inner = late.__wrapped__ if isinstance(late, RunWrapper) else late
        if "generator" in shape_of(inner):
            raise TypeError("@cache goes on functions that return; let this generator function return a list")
        return attach(late, plan, "cache")

    return put_on if function is None else put_on(function)
