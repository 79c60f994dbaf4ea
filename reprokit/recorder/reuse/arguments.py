"""What a call is given, as far as its result depends on it: a digest of each argument, and the files that they name."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.capture import values
from reprokit.model import digest, naming
from reprokit.recorder.reuse.named import Named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.model.redact import Redactor
    from reprokit.recorder.plan import ReuseSpec, Subject

INSTANCE = "self"
REST = "*"  # positional arguments beyond the named ones


class Argument(msgspec.Struct):
    """One argument that counts."""

    name: str
    value: Any
    digest: str
    mutable: bool


class Arguments(msgspec.Struct):
    """A call as its key has it.

    Attributes
    ----------
    counted
        The arguments by name, without those that name outputs or are to be ignored.
    code
        Functions and classes that they bring along.
    named
        The files and folders that they name.
    outputs
        Digest of what the output paths look like: types, suffixes, how many.
    """

    counted: list[Argument]
    code: list[Any]
    named: Named
    outputs: str


class Refused(Exception):  # noqa: N818 - it is no error: the function is called instead
    """A call whose result can't be used again; the text says why."""


def look(
    subject: Subject,
    instance: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    outputs: frozenset[str],
    spec: ReuseSpec,
    redactor: Redactor,
    template: str | None,
) -> Arguments:
    """Digest what a call is given.

    Raises
    ------
    Refused
        When an argument can't be told from others.
    """
    found = Arguments([], [], Named(template), "")
    forms: list[str] = []
    for name, value in bound(subject, instance, args, kwargs):
        if name in outputs:
            forms.append(f"{name}={_form(value)}")
        elif name not in spec.ignore:
            kept = value if name in spec.key else found.named.take(name, value)
            argument, code = told(name, value, kept, spec, redactor)
            found.counted.append(argument)
            found.code += code
    found.outputs = digest.of_parts("reprokit/outputs/1", *map(str.encode, forms)) if forms else ""
    return found


def bound(subject: Subject, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Give each parameter with its value, defaults too, in the order of the signature; then what has no parameter."""
    if instance is not None:
        yield INSTANCE, instance
    given = dict(zip(subject.positions, args, strict=False))
    more = dict(kwargs)
    for name in subject.parameters:
        if name in given:
            yield name, given[name]
        elif name in more:
            yield name, more.pop(name)
        elif name in subject.defaults:
            yield name, subject.defaults[name]
    if len(args) > len(given):
        yield REST, args[len(given) :]
    for name, value in more.items():
        yield f"**{name}" if name in given else name, value


def told(name: str, value: Any, kept: Any, spec: ReuseSpec, redactor: Redactor) -> tuple[Argument, tuple[Any, ...]]:
    """Digest one argument as `kept`, or by what stands for it where that was given; also give the code that it brings along."""
    by = spec.key.get(name)
    try:
        found = values.tell(kept if by is None else by(value))
    except values.UnknownValueError as error:
        raise Refused(f"argument {name}: {str(error).replace('<argument>', name)}") from None
    except Exception as error:
        if by is None:
            raise
        raise Refused(f"argument {name}: what key= gives for it failed: {type(error).__name__}: {error}") from error
    secret = redactor.is_secret_name(name)
    return Argument(name, value, slowly(found.digest) if secret else found.digest, found.mutable), found.code


@lru_cache(maxsize=64)
def slowly(told: str) -> str:
    """Digest the digest of a secret such that trying out many takes long: a record with it may be seen by others."""
    import hashlib

    made = hashlib.scrypt(told.encode(), salt=b"reprokit/secret/1", n=1 << 14, r=8, p=1, dklen=32)
    return f"sha256:{made.hex()}"


def _form(value: Any) -> str:
    """Describe an output path, or a container of some, by all but the names: a function may write by the suffix."""
    if isinstance(value, dict):
        return f"{type(value).__name__}{{{','.join(f'{key!a}:{_form(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}[{','.join(map(_form, value))}]"
    if isinstance(value, (str, bytes, os.PathLike)):
        text = os.fsdecode(value)
        name = os.path.basename(text.rstrip("/" + os.sep))
        return f"{type(value).__name__} {naming.split(name)[1]!a}{'/' if text.endswith(('/', os.sep)) else ''}"
    return type(value).__name__
