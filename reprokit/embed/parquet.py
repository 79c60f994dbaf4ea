"""Parquet: an entry ``reprokit`` of the footer's key-value metadata; row groups stay where they are.

The footer is rewritten as text of the Thrift compact protocol, not through a library, so no page is encoded anew.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from reprokit.embed import thrift
from reprokit.embed.tag import KEY, TEXT, Tag, decode

if TYPE_CHECKING:
    from reprokit.embed.source import Source
    from reprokit.embed.target import Target

MAGIC = b"PAR1"
_LONGEST = 1 << 26  # bytes of a footer
# Fields of FileMetaData in parquet.thrift.
_KEY_VALUES, _ENCRYPTION, _SIGNING = 5, 8, 9
_START = b"\x18" + bytes([len(KEY)]) + KEY + b"\x18"  # KeyValue: field 1 is the key, field 2 the value
_ENTRY = re.compile(re.escape(_START) + rb"(.)(" + TEXT + rb")\x00", re.DOTALL)


def mine(head: bytes) -> bool:
    """Tell Parquet; a file whose footer is encrypted begins with ``PARE`` and is none of ours."""
    return head.startswith(MAGIC)


def read(source: Source) -> Tag | None:
    """Find the last entry with our key."""
    _, footer = _footer(source)
    for found in reversed(list(_ENTRY.finditer(footer))):
        if found[1] == bytes([len(found[2])]):
            return decode(found[2])
    return None


def write(source: Source, text: bytes, target: Target) -> bool:
    """Copy the row groups, and write the footer with our entry as the last one."""
    start, footer = _footer(source)
    fields, end = thrift.fields(footer)
    numbers = [field.number for field in fields]
    if _ENCRYPTION in numbers or _SIGNING in numbers:  # columns are encrypted and the footer is signed
        return False
    if end != len(footer) or numbers.count(_KEY_VALUES) > 1 or numbers[:4] != [1, 2, 3, 4]:
        raise source.damaged("its footer is not Parquet's")
    entry = _START + bytes([len(text)]) + text + b"\x00"
    new = _with_entry(footer, fields, entry)
    target.take(source, 0, start)
    target.put(new + struct.pack("<I", len(new)) + MAGIC)
    return True


def _footer(source: Source) -> tuple[int, bytes]:
    length, magic = struct.unpack("<I4s", source.exactly(source.size - 8, 8))
    start = source.size - 8 - length
    if magic != MAGIC or start < len(MAGIC) or length > _LONGEST:
        raise source.damaged("its footer is not Parquet's")
    return start, source.exactly(start, length)


def _with_entry(footer: bytes, fields: list[thrift.Field], entry: bytes) -> bytes:
    parts = []
    last = 0
    done = False
    for field in fields:
        if field.number > _KEY_VALUES and not done:
            parts.append(thrift.header(_KEY_VALUES, thrift.LIST, last) + thrift.structs([entry]))
            last, done = _KEY_VALUES, True
        value = footer[field.value : field.end]
        if field.number == _KEY_VALUES:
            kept = [one for one in thrift.items(value) if not one.startswith(_START[:-1])]
            value, done = thrift.structs([*kept, entry]), True
        parts.append(thrift.header(field.number, field.kind, last) + value)
        last = field.number
    if not done:
        parts.append(thrift.header(_KEY_VALUES, thrift.LIST, last) + thrift.structs([entry]))
    return b"".join(parts) + b"\x00"
