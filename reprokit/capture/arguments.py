"""A call's arguments, described and with secrets taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.capture.describe import clean, describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reprokit.model.redact import Redactor

__all__ = ["Arguments", "call", "describe"]


class Arguments(msgspec.Struct, frozen=True):
    """A call as the record has it."""

    args: list[Any]
    kwargs: dict[str, Any]
    inexact: list[str]
    redacted: list[str]


def call(args: tuple[Any, ...], kwargs: dict[str, Any], redactor: Redactor, names: Sequence[str] = ()) -> Arguments:
    """Describe the arguments of a call, secrets taken out.

    `names` are those of the positional parameters: a password is one by its parameter's name also when it is passed by
    position.
    """
    inexact: list[str] = []
    items = [(names[i] if i < len(names) else "", f"args[{i}]", value) for i, value in enumerate(args)]
    items += [(name, f"kwargs[{name!a}]", value) for name, value in kwargs.items()]
    plain = []
    for name, place, value in items:
        if type(value) is bytes and redactor.is_secret_name(name):
            redactor.learn(name, value)
        one, exact = describe(value)
        plain.append(one)
        if not exact:
            inexact.append(place)
    known = redactor.known
    made, redacted = _clean_all(items, plain, redactor)
    if redactor.known is not known:  # a secret that one argument shows may be a part of those before it
        made, redacted = _clean_all(items, plain, redactor)
    return Arguments(
        made[: len(args)],
        {clean(name): value for name, value in zip(kwargs, made[len(args) :], strict=True)},
        inexact,
        redacted,
    )


def _clean_all(items: list[tuple[str, str, Any]], plain: list[Any], redactor: Redactor) -> tuple[list[Any], list[str]]:
    made: list[Any] = []
    redacted: list[str] = []
    before: Any = None
    for (name, place, _), value in zip(items, plain, strict=True):
        if isinstance(value, (int, float, type(None))) and not (name and redactor.is_secret_name(name)):
            made.append(value)
        elif type(before) is str and place[:5] == "args[" and before.isidentifier() and _names(before, value, redactor):
            found, places = redactor.value(before, value)  # set("password", "x")
            made.append(found)
            redacted.extend([place] if places else [])
        else:
            found, places = redactor.value(name, value)
            made.append(found)
            redacted.extend(place + where[len(name) :] for where in places)
        before = value
    return made, redacted


def _names(before: str, value: Any, redactor: Redactor) -> bool:
    """Tell whether the argument before says that this one is a secret."""
    return before != "token" and type(value) is str and len(before) <= 60 and redactor.is_secret_name(before)
