"""Where an index lies: in its vault, or, where that can only be read or is on a network, in the user's cache."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

# SQLite's locks can't be relied on there (https://sqlite.org/faq.html#q5).
_NETWORK = frozenset(
    (
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "fuse.davfs2",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "wekafs",
        "webdav",
    )
)


def index_path(vault: Path) -> Path:
    """Give the file of a vault's index; its folder is made when it is in the user's cache.

    Raises
    ------
    OSError
        When there is no place where it could be written.
    """
    if os.access(vault, os.W_OK | os.X_OK) and file_system(vault) not in _NETWORK:
        return vault / "index.sqlite"
    import platformdirs

    name = hashlib.sha256(os.fsencode(os.path.realpath(vault))).hexdigest()[:32]
    folder = Path(platformdirs.user_cache_dir("reprokit")) / "indexes" / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(13, "cannot be written", str(folder))
    return folder / "index.sqlite"


def file_system(path: Path) -> str:
    """Name the kind of the file system that a path is on; an empty string when that is not known."""
    if sys.platform.startswith("linux"):
        try:
            with open("/proc/self/mountinfo", "rb") as stream:
                return _innermost(os.path.realpath(path), stream.read())
        except OSError:
            return ""
    import psutil

    real = os.path.realpath(path)
    mounts = [(m.mountpoint, m.fstype) for m in psutil.disk_partitions(all=True) if _below(real, m.mountpoint)]
    return max(mounts, key=lambda mount: len(mount[0]), default=("", ""))[1].lower()


def _innermost(path: str, mountinfo: bytes) -> str:
    """Find a path's mount; proc_pid_mountinfo(5): field 5 is the place, the kind follows the lone hyphen."""
    best, kind = "", ""
    for line in mountinfo.splitlines():
        fields, _, rest = line.partition(b" - ")
        place = os.fsdecode(fields.split()[4].decode("unicode_escape").encode("latin-1"))
        if len(place) >= len(best) and _below(path, place):
            best, kind = place, os.fsdecode(rest.split()[0])
    return kind


def _below(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip(os.sep) + os.sep)
