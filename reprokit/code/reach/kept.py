"""What was derived from source files, kept in a folder between processes.

One file an entry.  Its name is a digest of the format, the build of Python and all else that facts depend on, and the
bytes of the source: never of a path or a time.  It holds a line that names the format, the SHA-256 of its name and of
what follows, and then the facts as MessagePack: data that can run nothing.  An entry that is torn, foreign or damaged
is as good as none, and so is a folder that cannot be read or written.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from reprokit.code.reach.facts import Facts

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 3  # raise it when other facts, or the same in another form, follow from a source (a test tells)

_HEAD = b"reprokit/facts/1\n"
_DIGEST = 32  # bytes of a SHA-256
_LARGEST = 1 << 26  # bytes of an entry
_MOST = 4000  # entries of a folder; past that, the oldest are removed
_LEFT = 3000
_CHUNK = 1 << 18  # bytes read at once
_EVERY = 200  # entries that a process writes before it counts again
_STALE = 3600.0  # seconds after which a file that was never finished is removed

_OURS = re.compile(r"[0-9a-f]{64}|\.[0-9a-f]{16}-[0-9]+-[0-9a-f]{8}")
_decoder = msgspec.msgpack.Decoder(Facts)
_encoder = msgspec.msgpack.Encoder()
_written: dict[str, int] = {}


def has_columns() -> bool:
    """Tell whether code objects say in which columns they stand (not so under ``-X no_debug_ranges``)."""
    return any(place[2] is not None for place in has_columns.__code__.co_positions())


_BUILD = ascii((FORMAT, sys.implementation.cache_tag, sys.version, sys.flags.optimize, has_columns())).encode()


def name_of(source: bytes | str) -> str:
    """Give the name of the entry for a source."""
    text = isinstance(source, str)
    state = hashlib.sha256(_BUILD + b"%d" % sys.get_int_max_str_digits())  # a source with too long a number is none
    state.update(b"\0text\0" if text else b"\0file\0")
    state.update(source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source)
    return state.hexdigest()


def read(folder: Path, source: bytes | str) -> Facts | None:
    """Give the facts of a source; None when the folder doesn't hold them, or holds something else by that name."""
    name = name_of(source)
    try:
        data = content(os.path.join(folder, name))
        rest = data[len(_HEAD) + _DIGEST :]
        if not data.startswith(_HEAD) or data[len(_HEAD) : len(_HEAD) + _DIGEST] != _checksum(name, rest):
            return None
        return _decoder.decode(rest)
    except (OSError, ValueError, RecursionError, MemoryError, msgspec.MsgspecError):
        return None


def write(folder: Path, source: bytes | str, facts: Facts) -> None:
    """Keep the facts of a source, if that can be done."""
    name = name_of(source)
    try:
        data = _encoder.encode(facts)
        path = os.path.join(folder, name)
        unfinished = os.path.join(folder, f".{name[:16]}-{os.getpid()}-{os.urandom(4).hex()}")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        try:
            with open(unfinished, "xb") as stream:
                stream.write(b"".join((_HEAD, _checksum(name, data), data)))
            os.replace(unfinished, path)
        except OSError:
            os.unlink(unfinished)
            raise
        count = _written[str(folder)] = _written.get(str(folder), -1) + 1
        if count % _EVERY == 0:
            trim(folder)
    except (OSError, ValueError):  # no room, no right to write, or a lone surrogate that MessagePack cannot hold
        return


def trim(folder: Path) -> None:
    """Remove the oldest entries of a folder that holds too many, and what writers that died have left."""
    entries: list[tuple[float, str]] = []
    now = time.time()
    with os.scandir(folder) as found:
        for one in found:
            if _OURS.fullmatch(one.name) is None:
                continue
            try:
                entries.append((one.stat(follow_symlinks=False).st_mtime, one.path))
            except OSError:
                continue
    old = [path for when, path in entries if os.path.basename(path).startswith(".") and when < now - _STALE]
    if len(entries) > _MOST:
        old += [path for _, path in sorted(entries)[: len(entries) - _LEFT]]
    for path in old:
        try:
            os.unlink(path)
        except OSError:
            continue


def _checksum(name: str, data: bytes) -> bytes:
    return hashlib.sha256(name.encode() + data).digest()


def content(path: str, largest: int = _LARGEST) -> bytes:
    """Read a file, in few calls, without waiting for a writer where it is a pipe."""
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        chunks = []
        left = largest
        while (data := os.read(number, _CHUNK)) and left > 0:
            chunks.append(data)
            left -= len(data)
        if data:
            raise OSError(errno.EFBIG, "too large", path)
        return b"".join(chunks)
    finally:
        os.close(number)
