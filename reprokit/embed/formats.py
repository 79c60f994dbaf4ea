"""`write` and `read`: what a file is, its first bytes tell, never its name."""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING, Protocol

from reprokit.embed import hdf5, jpeg, npz, parquet, pdf, png, svg, tag
from reprokit.embed.source import Source, opened
from reprokit.embed.target import Target, beside, settle
from reprokit.errors import EmbedError

if TYPE_CHECKING:
    from reprokit.embed.tag import Tag

_HEAD = (1 << 16) + 8  # bytes: HDF5 may begin behind a user block


class Format(Protocol):
    """What each module of a format family offers."""

    def mine(self, head: bytes) -> bool:
        """Tell a file of this family by its first bytes."""
        ...

    def read(self, source: Source) -> Tag | None:
        """Find the tag; damage raises `EmbedError`, or what parsing raises."""

    def write(self, source: Source, text: bytes, target: Target) -> bool:
        """Write the new version; False when the file is to be left alone."""
        ...


_FORMATS: tuple[Format, ...] = (png, jpeg, pdf, npz, hdf5, parquet, svg)
_DAMAGE = (EmbedError, ValueError, IndexError, KeyError, OverflowError, struct.error, zlib.error)


def read(path: str | os.PathLike[str]) -> Tag | None:
    """Read the tag inside a file, in bounded memory and without executing anything.

    Returns
    -------
    Tag or None
        None when there is none, and for files that can't be read or are damaged.
    """
    try:
        with opened(path) as source:
            found = _format(source) if source else None
            return found.read(source) if found and source else None
    except (OSError, *_DAMAGE):
        return None


def write(path: str | os.PathLike[str], tag: Tag) -> bool:
    """Put a tag inside a file, in place of an earlier one; what the file holds stays as it is.

    The new version replaces the file whole or not at all; the same file and tag give the same bytes always.

    Returns
    -------
    bool
        False when the format takes no tag, or the file is one that a tag would break (encrypted, signed): it is
        untouched then, byte for byte.

    Raises
    ------
    EmbedError
        When the file is damaged, open elsewhere, or of a kind that is not understood; it is untouched.
    MissingExtraError
        For HDF5 without h5py, and for PDF without pikepdf.
    OSError
        When the file or its folder can't be read or written.
    """
    text = _encode(tag)
    with opened(path) as source:
        found = _format(source) if source else None
        if source is None or found is None:
            return False
        try:
            if found is hdf5 and hdf5.read(source) == tag:  # the library moves free space about even so
                return True
            if found is npz and npz.is_large(source):
                return npz.write_in_place(source, text)
            with beside(source) as target:
                if not found.write(source, text, target):
                    return False
                target.stream.flush()
                _check(found, target, tag, source)
                settle(source, target)
                return True
        except (EmbedError, OSError):
            raise
        except _DAMAGE as error:
            raise source.damaged(f"it can't be understood ({type(error).__name__}: {error})") from error


def _format(source: Source) -> Format | None:
    head = source.upto(0, _HEAD)
    return next((one for one in _FORMATS if one.mine(head)), None)


def _check(found: Format, target: Target, tag: Tag, source: Source) -> None:
    """Read the new version back before it takes the place of the original."""
    with opened(target.path) as written:
        if written is None or found.read(written) != tag:
            raise source.damaged("the tag can't be read back")


_encode = tag.encode
