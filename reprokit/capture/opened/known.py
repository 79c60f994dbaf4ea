"""Digests of large inputs, remembered by path, size, times of the last change, inode and device.

A hint, never a proof: verifying reads every byte.  As in git's index, a file that was changed within the last two seconds is not
remembered, for it may change again and keep its stamp.

The file is only appended to.  Each line has a checksum; what is damaged, or lost when two processes shorten the file at once, is
computed again.
"""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from typing import TYPE_CHECKING

from reprokit.capture import files

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = 1_000_000  # bytes; smaller files are hashed faster than looked up
_YOUNG = 2_000_000_000  # ns
_LINE = 106  # key, digest and checksum: 32 + 1 + 64 + 1 + 8 characters
_LONGEST = 20_000  # lines


class Known:
    """The digests that one user's processes remember.

    Parameters
    ----------
    path
        The file; by default in the user's cache folder.
    """

    def __init__(self, path: str | None = None) -> None:
        self._path = path
        self._lines: dict[bytes, bytes] | None = None

    def digest(self, path: str) -> tuple[str, int]:
        """Give digest and size of a file.

        Raises
        ------
        OSError
            As `files.digest_file` does.
        """
        found = os.stat(path)
        if found.st_size < LARGE:
            return files.digest_file(path)
        facts = (
            os.fsencode(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev,
        )  # fmt: skip
        key = hashlib.sha256(repr(facts).encode()).hexdigest()[:32].encode()
        known = self._look_up(key)
        if known is not None:
            return known, found.st_size
        digest, size = files.digest_file(path)
        again = os.stat(path)
        same = (again.st_size, again.st_mtime_ns, again.st_ino) == (size, found.st_mtime_ns, found.st_ino)
        if same and found.st_mtime_ns + _YOUNG < time.time_ns():
            self._remember(key, digest)
        return digest, size

    def _look_up(self, key: bytes) -> str | None:
        if self._lines is None:
            self._lines = dict(self._read())
        line = self._lines.get(key)
        return f"sha256:{line[33:97].decode()}" if line is not None and _is_whole(line) else None

    def _remember(self, key: bytes, digest: str) -> None:
        line = key + b" " + digest.rpartition(":")[2].encode()
        line += b" %08x" % zlib.crc32(line)
        assert self._lines is not None
        self._lines[key] = line
        try:
            place = self._place()
            os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
            if len(self._lines) > _LONGEST:
                self._lines = dict(list(self._lines.items())[_LONGEST // 2 :])
                temporary = f"{place}.{os.urandom(6).hex()}"
                with open(temporary, "xb") as stream:
                    stream.write(b"".join(one + b"\n" for one in self._lines.values()))
                os.replace(temporary, place)
                return
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                # A line break first: what stands there may be torn.
                os.write(descriptor, b"\n" + line + b"\n")
            finally:
                os.close(descriptor)
        except OSError:  # no cache folder, or a full disk: the digest is computed again next time
            return

    def _read(self) -> Iterator[tuple[bytes, bytes]]:
        try:
            with open(self._place(), "rb") as stream:
                data = stream.read(2 * _LONGEST * (_LINE + 2))
        except OSError:
            return
        for line in data.split(b"\n"):
            if len(line) == _LINE:
                yield line[:32], line

    def _place(self) -> str:
        if self._path is None:
            import platformdirs

            self._path = os.path.join(platformdirs.user_cache_dir("reprokit"), "digests.txt")
        return self._path


def _is_whole(line: bytes) -> bool:
    try:
        return zlib.crc32(line[:97]) == int(line[98:], 16)
    except ValueError:
        return False


_known = Known()


def digest(path: str) -> tuple[str, int]:
    """Give digest and size of a file, from memory where its stamp says that it is the same; raises ``OSError``."""
    return _known.digest(path)
