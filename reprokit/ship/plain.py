"""`dumps` and `loads`: an object with the code that it needs, in one piece of bytes that checks itself.

The envelope: eight bytes that tell what it is, a version, the minor version of Python, the SHA-256 of all but itself;
then the bundles (token, length, archive) and the pickle.  All numbers are unsigned and little-endian.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from typing import TYPE_CHECKING, Any

from reprokit.code.bundles import current, store
from reprokit.errors import CodeMismatchError, ShipError
from reprokit.recorder.plan import patterns
from reprokit.ship.pickling import pickler
from reprokit.ship.pickling.parcel import Parcel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprokit.ship.pickling.pickler import Sender

MAGIC = b"\x89rkship\n"  # one byte beyond ASCII and a line end, for what mangles binary files shows there
VERSION = 1
_HEAD = struct.Struct("<8sHBB32s")
_BODY = struct.Struct("<IQ")  # bundles, bytes of the pickle
_BUNDLE = struct.Struct("<32sQ")
_REMEDY = "send it again, or write it again with ship.dumps"

_senders: dict[Any, Sender] = {}


def dumps(
    obj: object,
    *,
    bundle: bool = True,
    local: str | Iterable[str] = (),
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    allow_secrets: bool = False,
) -> bytes:
    """Pickle an object together with the local code that it needs.

    Parameters
    ----------
    obj
        Any object: functions, classes and instances of local packages, of ``__main__`` and of notebooks among them.
    bundle
        Whether the code goes with it; without, `loads` needs a process that has that code from an earlier one.
    local
        Modules from outside of the project that are sent as well.
    include, exclude
        Patterns of files: to send although ``.gitignore`` names them, and to leave behind.
    allow_secrets
        Send code although text in it looks like secrets.

    Returns
    -------
    bytes
        What `loads` reads.

    Raises
    ------
    UnshippableError
        Naming the part of `obj` that can't be pickled.
    BundleTooLargeError, SecretsError
        When the project's code cannot be sent.

    Examples
    --------
    >>> import reprokit.ship as ship
    >>> ship.loads(ship.dumps([1, 2]))
    [1, 2]
    """
    sender = sender_for(local=local, include=include, exclude=exclude, allow_secrets=allow_secrets)
    parcel = Parcel(sender.local, bytes.fromhex)
    payload = sender.pickled(obj, parcel)
    found = [(bytes.fromhex(digest), sender.local.data_of(digest)) for digest in parcel.digests] if bundle else []
    parts = [_BODY.pack(len(found), len(payload))]
    for token, data in found:
        parts += (_BUNDLE.pack(token, len(data)), data)
    parts.append(payload)
    return b"".join((_head(parts), *parts))


def loads(data: bytes | bytearray | memoryview) -> Any:
    """Load what `dumps` wrote.

    This executes code: that of the bundle, and whatever the pickle says.  The digests in it show damage, and not who
    wrote it: load only what you trust.  Nothing else in reprokit executes what was sent.

    Parameters
    ----------
    data
        The bytes.

    Returns
    -------
    object
        Local classes and functions are this process's own where it runs the same code, else those of the bundle.

    Raises
    ------
    ShipError
        When the bytes are not from `dumps`, or not whole.
    CodeMismatchError
        When they were changed, or come from another minor version of Python.
    BundleMissingError
        When they hold no bundle, and this process has no such one.
    """
    content = memoryview(data).cast("B")
    _check(content)
    bundles, payload = _parts(content)
    for digest, archive in bundles:
        if not current.is_home(digest):
            store.add(digest, bytes(archive))
    return pickler.loads(payload)


def sender_for(
    *,
    local: str | Iterable[str],
    include: str | Iterable[str],
    exclude: str | Iterable[str],
    allow_secrets: bool,
) -> Sender:
    """Give the sender of the present working folder's project; the same one for the same options."""
    from reprokit import settings

    project = settings.current()
    options: dict[str, Any] = {
        "local": patterns(local),
        "include": patterns(include),
        "exclude": patterns(exclude),
        "allow_secrets": allow_secrets,
        "max_size": project.max_bundle_size,
        "max_file_size": project.max_file_size,
        "vault": project.vault,
    }
    key = (project.root, *options.values())
    found = _senders.get(key)
    if found is None:
        found = _senders[key] = pickler.Sender(project.root, **options)
    return found


def _head(parts: list[bytes]) -> bytes:
    told = hashlib.sha256(_HEAD.pack(MAGIC, VERSION, *sys.version_info[:2], b""))
    for part in parts:
        told.update(part)
    return _HEAD.pack(MAGIC, VERSION, *sys.version_info[:2], told.digest())


def _parts(content: memoryview) -> tuple[list[tuple[str, memoryview]], memoryview]:
    """Take an envelope apart: bundles, and the pickle."""
    found: list[tuple[str, memoryview]] = []
    try:
        count, length = _BODY.unpack_from(content, _HEAD.size)
        start = _HEAD.size + _BODY.size
        for _ in range(count):
            token, size = _BUNDLE.unpack_from(content, start)
            start += _BUNDLE.size
            found.append((token.hex(), content[start : start + size]))
            start += size
    except struct.error as error:
        raise ShipError("what ship.dumps wrote has parts that don't fit together", _REMEDY) from error
    if start + length != len(content):
        raise ShipError("what ship.dumps wrote has parts that don't fit together", _REMEDY)
    return found, content[start:]


def _check(content: memoryview) -> None:
    if content[: len(MAGIC)] != MAGIC:
        raise ShipError("these bytes were not written by ship.dumps", _REMEDY)
    if len(content) < _HEAD.size:
        raise ShipError(f"only {len(content)} bytes are left of what ship.dumps wrote", _REMEDY)
    _, version, major, minor, told = _HEAD.unpack_from(content)
    if version != VERSION:
        raise ShipError(
            f"written in form {version}, and this reprokit reads {VERSION}", "use the same version of reprokit"
        )
    found = hashlib.sha256(_HEAD.pack(MAGIC, version, major, minor, b"") + content[_HEAD.size :]).digest()
    if found != told:
        raise CodeMismatchError("the bytes were changed or cut off on the way; their digest", told.hex(), found.hex())
    if (major, minor) != sys.version_info[:2]:
        here = ".".join(map(str, sys.version_info[:2]))
        raise CodeMismatchError("Python of sender and receiver, whose byte code differs", f"{major}.{minor}", here)
