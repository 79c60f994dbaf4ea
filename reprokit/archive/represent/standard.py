"""Values of the standard library: numbers, times, paths, patterns, enumerations, collections."""

from __future__ import annotations

import array
import collections
import datetime  # noqa: ICN001  # dt is no better name
import decimal
import enum
import fractions
import pathlib
import re
import types
import uuid
import zoneinfo
from typing import TYPE_CHECKING, Any

from reprokit.archive import form
from reprokit.archive.form import Form, Split
from reprokit.archive.graph import UnsupportedError
from reprokit.archive.represent.containers import pairs, split_dict, split_sequence
from reprokit.archive.represent.references import reference
from reprokit.archive.represent.registry import exactly

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.archive.draft import Draft


@exactly(decimal.Decimal, uuid.UUID)
def _of_written(draft: Draft, obj: Any) -> Form:
    return form.text(f"{reference(draft, type(obj))}({str(obj)!r})")


@exactly(fractions.Fraction)
def _of_fraction(draft: Draft, obj: fractions.Fraction) -> Form:
    return form.call(draft.use("fractions", "Fraction"), [obj.numerator, obj.denominator])


@exactly(datetime.datetime, datetime.time)
def _of_time(draft: Draft, obj: Any) -> Form:
    fields = ["year", "month", "day"] if isinstance(obj, datetime.datetime) else []
    values = [getattr(obj, name) for name in [*fields, "hour", "minute", "second", "microsecond"]]
    keywords: dict[str, Any] = {}
    if obj.tzinfo is not None:
        keywords["tzinfo"] = obj.tzinfo
    if obj.fold:
        keywords["fold"] = obj.fold
    return form.call(reference(draft, type(obj)), values, keywords)


@exactly(datetime.date)
def _of_date(draft: Draft, obj: datetime.date) -> Form:
    return form.call(draft.use("datetime", "date"), [obj.year, obj.month, obj.day])


@exactly(datetime.timedelta)
def _of_timedelta(draft: Draft, obj: datetime.timedelta) -> Form:
    return form.call(draft.use("datetime", "timedelta"), [obj.days, obj.seconds, obj.microseconds])


@exactly(datetime.timezone)
def _of_timezone(draft: Draft, obj: datetime.timezone) -> Form:
    if obj is datetime.UTC:
        return form.text(draft.use("datetime", "timezone.utc"), cheap=True)
    state: Any = obj
    return form.call(draft.use("datetime", "timezone"), state.__getinitargs__())


@exactly(zoneinfo.ZoneInfo)
def _of_zone(draft: Draft, obj: zoneinfo.ZoneInfo) -> Form:
    if obj.key is None:
        raise UnsupportedError("a ZoneInfo that was read from a file has no key to find it by; use ZoneInfo(key)")
    return form.call(draft.use("zoneinfo", "ZoneInfo"), [obj.key])


@exactly(pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath)
def _of_path(draft: Draft, obj: pathlib.PurePath) -> Form:
    name = "Path" if isinstance(obj, pathlib.Path) else type(obj).__name__  # a PosixPath exists on POSIX only
    return form.call(draft.use("pathlib", name), [str(obj)])


@exactly(re.Pattern)
def _of_pattern(draft: Draft, obj: re.Pattern[Any]) -> Form:
    flags = int(obj.flags & ~(re.UNICODE if isinstance(obj.pattern, str) else 0))
    return form.call(draft.use("re", "compile"), [obj.pattern, flags] if flags else [obj.pattern])


def for_enumeration(cls: type) -> Callable[[Draft, Any], Form] | None:
    """Represent members of enumerations, and combinations of flags."""
    return _of_member if issubclass(cls, enum.Enum) else None


def _of_member(draft: Draft, obj: enum.Enum) -> Form:
    cls = type(obj)
    name: Any = obj._name_
    if name is not None and name.isidentifier() and cls.__members__.get(name) is obj:
        return form.text(f"{reference(draft, cls)}.{name}", cheap=True)
    return form.call(reference(draft, cls), [obj._value_])


@exactly(collections.OrderedDict)
def _of_ordered(draft: Draft, obj: Any) -> Form:
    name = draft.use("collections", "OrderedDict")
    if not obj:
        return form.text(f"{name}()")
    return Form("mapping", (f"{name}({{", "})"), pairs(obj), depth=2, split=lambda: split_dict(obj, f"{name}()"))


@exactly(collections.Counter)
def _of_counter(draft: Draft, obj: Any) -> Form:
    name = draft.use("collections", "Counter")
    return Form("mapping", (f"{name}({{", "})"), pairs(obj), depth=2)


@exactly(collections.defaultdict)
def _of_defaultdict(draft: Draft, obj: Any) -> Form:
    name = draft.use("collections", "defaultdict")
    if obj.default_factory is None and not obj:
        return form.text(f"{name}()")
    pieces = [f"{name}(", ", {", *[": ", ", "] * len(obj)]
    pieces[-1] = "})"
    children = [obj.default_factory, *pairs(obj)]
    if not obj:
        return form.call(name, [obj.default_factory])
    return Form(
        "call", tuple(pieces), children, depth=2, split=lambda: split_dict(obj, form.call(name, [obj.default_factory]))
    )


@exactly(collections.deque)
def _of_deque(draft: Draft, obj: collections.deque[Any]) -> Form:
    name = draft.use("collections", "deque")
    limit = "" if obj.maxlen is None else f", maxlen={obj.maxlen}"
    return form.sequence(
        f"{name}([", list(obj), f"]{limit})", lambda: split_sequence(obj, f"{name}([]{limit})", "extend")
    )


@exactly(collections.ChainMap)
def _of_chain(draft: Draft, obj: collections.ChainMap[Any, Any]) -> Form:
    return form.call(draft.use("collections", "ChainMap"), list(obj.maps))


@exactly(collections.UserDict, collections.UserList, collections.UserString)
def _of_user(draft: Draft, obj: Any) -> Form:
    return form.call(draft.use("collections", type(obj).__name__), [obj.data])


@exactly(types.SimpleNamespace)
def _of_namespace(draft: Draft, obj: types.SimpleNamespace) -> Form:
    name = draft.use("types", "SimpleNamespace")
    state = vars(obj)

    def split() -> Split:
        return Split(form.text(f"{name}()"), state_fills(draft, obj, state))

    if all(key.isidentifier() for key in state):
        return form.call(name, (), state, split=split)
    return Form("split", (), split=split)


def state_fills(draft: Draft, obj: Any, state: dict[str, Any]) -> list[Form]:
    """Set attributes one by one, past any __setattr__ of the class."""
    setter = f"{draft.use('builtins', 'object')}.__setattr__"
    return [Form("call", (f"{setter}(", f", {name!r}, ", ")"), [obj, value]) for name, value in state.items()]


@exactly(types.MappingProxyType)
def _of_proxy(draft: Draft, obj: Any) -> Form:
    return form.call(draft.use("types", "MappingProxyType"), [dict(obj)])


@exactly(array.array)
def _of_array(draft: Draft, obj: array.array[Any]) -> Form:
    return form.call(
        draft.use("array", "array"), [obj.typecode, obj.tolist() if obj.typecode != "u" else obj.tounicode()]
    )
