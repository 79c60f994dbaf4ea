"""A second file with the same content: blocks shared where the file system can, else a hard link where that is right, else a copy."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING, Literal

from reprokit.vault import atomic

if TYPE_CHECKING:
    from pathlib import Path

How = Literal["reflink", "link", "copy"]
Links = Literal["read-only", "always", "never"]

_FICLONE = 0x40049409  # Linux ioctl: share the blocks of another file (btrfs, xfs)
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def put(source: Path, target: Path, links: Links = "never", *, over_folder: bool = True) -> How:
    """Put the content of a file or folder at `target`, whole or not at all; a file that stands there is replaced.

    Parameters
    ----------
    links
        Which files may share their inode with the source, so that a change of one in place changes the other.
    over_folder
        Whether a folder that stands there is replaced, too.

    Returns
    -------
    str
        How; of a folder, how its last file.

    Raises
    ------
    OSError
        When it can't be written; nothing is left behind then.
    """
    temporary = target.with_name(f".{target.name[:40]}-{os.urandom(4).hex()}.tmp")
    how: How = "copy"

    def one(from_path: str, to_path: str) -> str:
        nonlocal how
        how = file(from_path, to_path, links)
        return to_path

    try:
        if source.is_dir():
            shutil.copytree(source, temporary, symlinks=True, copy_function=one)
            os.utime(temporary)
            if over_folder and target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
        else:
            one(str(source), str(temporary))
        os.replace(temporary, target)
        atomic.sync_folder(str(target.parent))
    except BaseException:
        discard(temporary)
        raise
    return how


def file(source: str, target: str, links: Links = "never") -> How:
    """Make the file `target`, which must not be there; raises ``OSError``."""
    with open(source, "rb") as reader:
        mode = os.fstat(reader.fileno()).st_mode
        with open(target, "xb") as writer:
            shared = _reflink(writer.fileno(), reader.fileno())
            if shared:
                os.fsync(writer.fileno())
        if not shared and (links == "always" or (links == "read-only" and not mode & _WRITABLE)):
            os.unlink(target)
            try:
                os.link(source, target, follow_symlinks=True)
            except OSError:  # another file system, or too many links
                pass
            else:
                return "link"
        if not shared:
            with open(target, "wb") as writer:
                shutil.copyfileobj(reader, writer, 1 << 20)
                writer.flush()
                os.fsync(writer.fileno())
    os.chmod(target, stat.S_IMODE(mode))
    return "reflink" if shared else "copy"


def _reflink(target: int, source: int) -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def discard(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
