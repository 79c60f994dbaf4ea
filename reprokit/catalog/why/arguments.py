"""How the arguments of a call differ from those of an earlier run: by its record where that shows them, else by digests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reprokit.catalog.diff import values
from reprokit.catalog.diff.call import tells_all
from reprokit.catalog.why.words import arrow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reprokit.model.records import PreRunInfo, StepRecord

_INSTANCE, _REST = "self", "*"  # as `recorder.reuse.arguments` calls them
_SHAPE = ("shape", "dtype", "len")
_NOTHING = object()


class Shown:
    """A call's arguments by parameter, as its record shows them.

    Parameters
    ----------
    args, kwargs
        Described, secrets taken out.
    positions
        Parameter -> index among the positional ones.
    defaults
        Parameter -> description of its default.
    """

    def __init__(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], positions: Mapping[str, int], defaults: Mapping[str, Any]
    ) -> None:
        self._args, self._kwargs, self._positions, self._defaults = args, kwargs, positions, defaults

    def of(self, name: str) -> Any:
        """Give what is shown of an argument; `_NOTHING` when nothing is."""
        at = self._positions.get(name)
        if at is not None and at < len(self._args):
            return self._args[at]
        return self._kwargs.get(name.lstrip("*"), self._defaults.get(name, _NOTHING))

    def names(self) -> Iterator[str]:
        """Give the names of what was passed."""
        yield from (name for name, at in self._positions.items() if at < len(self._args))
        yield from self._kwargs


def recorded(call: PreRunInfo | StepRecord, positions: Mapping[str, int], defaults: Mapping[str, Any]) -> Shown:
    """Give the arguments of a recorded call of the same function."""
    return Shown(call.args, call.kwargs, positions, defaults)


def by_digest(before: Mapping[str, str], after: Mapping[str, str], then: Shown | None, now: Shown) -> dict[str, str]:
    """Say how arguments differ whose digests are known; parameter -> sentence."""
    told = {}
    for name in dict.fromkeys([*after, *before]):
        if before.get(name) != after.get(name):
            told[name] = _sentence(name, before, after, then, now)
    return told


def by_record(then: Shown, now: Shown, but: frozenset[str]) -> tuple[dict[str, str], list[str]]:
    """Say how arguments differ as far as records show them, by parameter; and of which that can't be told."""
    told: dict[str, str] = {}
    unknown: list[str] = []
    for name in dict.fromkeys([*now.names(), *then.names()]):
        first, second = then.of(name), now.of(name)
        if name in but:
            continue
        if first is _NOTHING or second is _NOTHING:
            told[name] = f"argument {name} {'is new' if first is _NOTHING else 'is no longer given'}"
        elif not values.equal(first, second):
            told[name] = _changed(name, first, second)
        elif not tells_all(first):
            unknown.append(f"whether argument {name} is the same is not recorded")
    return told, unknown


def _sentence(name: str, before: Mapping[str, str], after: Mapping[str, str], then: Shown | None, now: Shown) -> str:
    if name == _INSTANCE and then is not None and now.of(name) is _NOTHING:
        return "the instance that it is called on holds something else"
    if name == _REST:
        return "the further positional arguments changed"
    if name not in before:
        return f"argument {name} is new"
    if name not in after:
        return f"argument {name} is no longer given"
    return _changed(name, then.of(name) if then is not None else _NOTHING, now.of(name))


def _changed(name: str, first: Any, second: Any) -> str:
    if first is _NOTHING or second is _NOTHING:
        return f"argument {name} changed"
    if tells_all(first) and tells_all(second) and not values.equal(first, second):
        return arrow(f"argument {name}:", _plain(first), _plain(second)).replace(f"{name}: changed", f"{name} changed")
    return f"argument {name} changed{_form(first, second)}"


def _plain(told: Any) -> Any:
    """Give the text of what is described by its type and a text: of dates, paths and the like."""
    return told["text"] if isinstance(told, dict) and isinstance(told.get("text"), str) else told


def _form(first: Any, second: Any) -> str:
    """Say how two descriptions differ in form: of arrays and tables, whose content only digests tell."""
    if not isinstance(first, dict) or not isinstance(second, dict):
        return ""
    if first.get("$type") != second.get("$type"):
        return f" ({first.get('$type', 'dict')} -> {second.get('$type', 'dict')})"
    differing = [key for key in _SHAPE if first.get(key) != second.get(key)]
    return f" ({', '.join(arrow(key, first.get(key), second.get(key)) for key in differing)})" if differing else ""
