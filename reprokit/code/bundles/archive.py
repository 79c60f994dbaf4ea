"""The zip archive of a bundle: written the same way each time from parts that are compressed already, read with suspicion.

The format is that of PKWARE's APPNOTE.TXT 6.3.10.
"""

from __future__ import annotations

import io
import stat as modes
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, NamedTuple

from reprokit.code.bundles.bundle import MEMBER, is_safe, label, sha256
from reprokit.errors import CodeMismatchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_DATE = (1 << 5) | 1  # 1980-01-01, the first that there is
_UTF8 = 1 << 11
_DEFLATED = 8
_LEVEL = 1  # half the time of the usual 6, for a tenth more bytes, and each is sent once
_MOST_FILES = 65_000  # beyond, and beyond 4 GiB, the format needs other records
_MOST_BYTES = 0xF000_0000
_ALWAYS = 1 << 30  # bytes that an archive may unpack to, however small it is
_RATIO = 200  # and beyond that, how much larger than itself; source is packed to a third


class Piece(NamedTuple):
    """A file of a bundle."""

    executable: bool
    size: int  # bytes
    sha256: bytes
    crc: int
    packed: bytes  # raw deflate

    @property
    def content(self) -> bytes:
        """The file's bytes."""
        return zlib.decompress(self.packed, -15, max(self.size, 1))


def piece(data: bytes, *, executable: bool = False) -> Piece:
    """Compress a file."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
    return Piece(executable, len(data), sha256(data), zlib.crc32(data), packer.compress(data) + packer.flush())


def write(pieces: Mapping[str, Piece], meta: bytes) -> bytes:
    """Make the archive."""
    members = [(MEMBER, piece(meta)), *sorted(pieces.items())]
    if len(members) > _MOST_FILES or sum(len(one.packed) + 1024 for _, one in members) > _MOST_BYTES:
        return _write_large(members)
    body: list[bytes] = []
    central: list[bytes] = []
    offset = 0
    for path, one in members:
        name = path.encode()
        about = (20, _UTF8, _DEFLATED, 0, _DATE, one.crc, len(one.packed), one.size, len(name), 0)
        mode = _mode(one.executable) << 16
        central += (_CENTRAL.pack(b"PK\1\2", (3 << 8) | 20, *about, 0, 0, 0, mode, offset), name)
        body += (_LOCAL.pack(b"PK\3\4", *about), name, one.packed)
        offset += _LOCAL.size + len(name) + len(one.packed)
    listing = b"".join(central)
    end = _END.pack(b"PK\5\6", 0, 0, len(members), len(members), len(listing), offset, 0)
    return b"".join((*body, listing, end))


def _mode(executable: bool) -> int:
    return modes.S_IFREG | (0o755 if executable else 0o644)


def _write_large(members: list[tuple[str, Piece]]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for path, one in members:
            about = zipfile.ZipInfo(path)
            about.create_system, about.compress_type = 3, zipfile.ZIP_DEFLATED
            about.external_attr = _mode(one.executable) << 16
            archive.writestr(about, one.content)
    return target.getvalue()


class Member(NamedTuple):
    """A file as an archive declares it."""

    path: str
    executable: bool
    size: int  # bytes
    info: zipfile.ZipInfo


def read(data: bytes, digest: str) -> Iterator[tuple[Member, bytes]]:
    """Read an archive that may be hostile: each member with its content, never more than it declares.

    Raises
    ------
    CodeMismatchError
        For everything that `write` would not have made.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in _members(archive, len(data), digest):
                with archive.open(member.info) as stream:
                    content = stream.read(member.size + 1)
                if len(content) != member.size:
                    raise _refused(digest, f"{member.path!r} of {member.size} bytes", "another size")
                yield member, content
    except CodeMismatchError:
        raise
    # What zipfile raises for damaged archives: its own error, those of zlib and struct, and what odd fields lead to.
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, RuntimeError,
            OverflowError, LookupError, OSError) as error:  # fmt: skip
        raise _refused(digest, "a zip archive", f"a damaged one ({error})") from error


def _members(archive: zipfile.ZipFile, size: int, digest: str) -> list[Member]:
    found: dict[str, Member] = {}
    for info in archive.infolist():
        mode = info.external_attr >> 16
        # `ZipInfo` cuts names at a NUL and turns backslashes on Windows; what stands in the archive counts.
        if info.orig_filename != info.filename or not is_safe(info.filename):
            raise _refused(digest, "paths inside of it", repr(info.orig_filename)[:200])
        if info.is_dir() or (modes.S_IFMT(mode) not in (0, modes.S_IFREG)):
            raise _refused(digest, "plain files", f"{info.filename!r} with mode {mode:o}")
        if info.flag_bits & 0x1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(digest, "files as reprokit packs them", f"{info.filename!r}, encrypted or packed otherwise")
        if info.filename in found:
            raise _refused(digest, "each file once", f"{info.filename!r} twice")
        found[info.filename] = Member(info.filename, bool(mode & 0o100), info.file_size, info)
    total, packed = sum(one.size for one in found.values()), sum(one.info.compress_size for one in found.values())
    if packed > size or total > max(_ALWAYS, _RATIO * size):
        raise _refused(digest, f"what {size:,} bytes can hold", f"{total:,} bytes")
    folders = {path[:at] for path in found for at in range(len(path)) if path[at] == "/"}
    if not folders.isdisjoint(found):
        raise _refused(digest, "files or folders", f"{min(folders & found.keys())!r}, which is both")
    if MEMBER not in found:
        raise _refused(digest, f"a member {MEMBER}", "none")
    return list(found.values())


def _refused(digest: str, expected: str, found: str) -> CodeMismatchError:
    return CodeMismatchError(f"the archive of {label(digest)}", expected, found)
