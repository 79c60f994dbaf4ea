"""Bytes of a record and back again.  Reading trusts nothing: size, depth, type and version are checked."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from reprokit.errors import RecordError
from reprokit.model.records import REUSE_SCHEMA, STEP_SCHEMA, ReuseEntry, StepRecord

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.model.records import Record

R = TypeVar("R", bound=msgspec.Struct)

_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
LARGEST = 64 * 1024 * 1024  # bytes; a record beyond this is not ours

# Lines leave defaults out, and each line names its schema.
_WITHOUT_DEFAULT: dict[type[msgspec.Struct], str] = {StepRecord: STEP_SCHEMA, ReuseEntry: REUSE_SCHEMA}
_encoder = msgspec.json.Encoder(enc_hook=str, decimal_format="string")


def encode(record: Record, *, pretty: bool = True) -> bytes:
    """Give the record's JSON bytes, UTF-8, indented for people unless it is one line of many."""
    data = _encoder.encode(record)
    return msgspec.json.format(data, indent=2) + b"\n" if pretty else data + b"\n"


@functools.cache
def _decoder(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


def decode(data: bytes, kind: type[R], where: str) -> R:
    """Read a record from bytes.

    Raises
    ------
    RecordError
        When the bytes are no such record, or one from another version; the message names `where`.
    """
    try:
        record: R = _decoder(kind).decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RecordError(where, f"damaged record: {error}") from error
    wanted = _schema_default(kind)
    found = getattr(record, "schema", wanted)
    if found != wanted:
        raise RecordError(where, f"its format is {found!r}, this reprokit knows {wanted!r}; upgrade reprokit")
    return record


@functools.cache
def _schema_default(kind: type[msgspec.Struct]) -> str:
    if kind in _WITHOUT_DEFAULT:
        return _WITHOUT_DEFAULT[kind]
    return next((str(field.default) for field in msgspec.structs.fields(kind) if field.name == "schema"), "")


def read(path: str | os.PathLike[str], kind: type[R]) -> R:
    """Read a record from a file.

    Raises
    ------
    RecordError
        When the file is damaged, too large, or from another version.
    FileNotFoundError
        When it is not there.
    """
    return decode(read_bytes(path), kind, str(path))


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read a whole document, within bounds.

    Without a buffered stream, whose questions to the system take longer than the reading.

    Raises
    ------
    RecordError, FileNotFoundError
    """
    try:
        descriptor = os.open(path, _READ)
        try:
            size = os.fstat(descriptor).st_size
            if size > LARGEST:
                raise RecordError(str(path), f"{size} bytes are too many for a record (limit {LARGEST})")
            data = os.read(descriptor, size + 1)
            if len(data) != size:  # it is being written, or the system gives it in pieces
                while more := os.read(descriptor, LARGEST):
                    data += more
                    if len(data) > LARGEST:
                        raise RecordError(str(path), f"it grows beyond the limit of a record ({LARGEST} bytes)")
            return data
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise
    except RecordError:
        raise
    except OSError as error:
        raise RecordError(str(path), f"cannot be read: {error.strerror or error}") from error


def schema_of(path: Path) -> str:
    """Give the ``schema`` of any document, or an empty string."""
    try:
        found = msgspec.json.decode(read_bytes(path))
    except (msgspec.DecodeError, RecursionError) as error:
        raise RecordError(str(path), f"damaged record: {error}") from error
    return str(found.get("schema", "")) if isinstance(found, dict) else ""
