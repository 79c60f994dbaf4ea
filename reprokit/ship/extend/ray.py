"""`extend_ray`: plain ``ray.remote`` carries local code.

What Ray pickles then names local code by the digest of its bundle.  The bundle itself goes into the job's function table,
once, where the processes find it that don't have it yet; each of them learns to send on what it was sent.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from reprokit.code.bundles import current, store
from reprokit.errors import BundleMissingError
from reprokit.ship import plain
from reprokit.ship.cargo import BUNDLE
from reprokit.ship.engines import ray_table
from reprokit.ship.engines.ray_package import ray
from reprokit.ship.extend import cloudpickle as extend
from reprokit.ship.pickling.local import Local
from reprokit.ship.pickling.pickler import Carried

if TYPE_CHECKING:
    from collections.abc import Iterable

_posted: set[tuple[str, str]] = set()  # job and digest of what lies in a function table, as far as this process knows
_knows = False  # whether this process was taught


def extend_ray(
    *,
    undo: bool = False,
    local: str | Iterable[str] = (),
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    allow_secrets: bool = False,
) -> None:
    """Let remote functions, actors, arguments and results of Ray carry local code, from now on.

    The local packages are those of the present working folder's project.  Workers need reprokit installed.  As in Ray
    itself, a remote function is sent when it is first called, and later edits of it are seen once it is decorated again.  To
    be called again with other options, or to be undone.

    Parameters
    ----------
    undo
        Take it back.  What was sent already stays.
    local
        Modules from outside of the project that are sent as well.
    include, exclude
        Patterns of files: to send although ``.gitignore`` names them, and to leave behind.
    allow_secrets
        Send code although text in it looks like secrets.

    Raises
    ------
    MissingExtraError
        When Ray is not installed.
    """
    global _knows
    if undo:
        extend.forget(ray.cloudpickle)
        _knows = False
        return
    sender = plain.sender_for(local=local, include=include, exclude=exclude, allow_secrets=allow_secrets)
    extend.teach(ray.cloudpickle, sender.local, _Posted)
    _knows = True


class _Posted:
    """Stands for a bundle's token in a pickle, and sees to it that the bundle is found."""

    def __init__(self, digest: str) -> None:
        self._digest = digest

    def __reduce__(self) -> Any:
        if not ray.is_initialized():  # pickled by hand: nobody knows who will read it
            return Carried(self._digest).__reduce__()
        job = ray_table.job()
        if (job, self._digest) not in _posted:
            ray_table.put(BUNDLE + self._digest, store.data_of(self._digest))
            _posted.add((job, self._digest))
        return posted, (bytes.fromhex(self._digest), job)


def posted(token: bytes, job: str) -> bytes:
    """Make a bundle known that lies in a job's function table; pickles call this."""
    global _knows
    digest = token.hex()
    if not current.is_home(digest) and not store.has(digest):
        store.lend(digest, functools.partial(_fetched, digest, job))
    if not _knows:
        extend.teach(ray.cloudpickle, Local(None, ()), _Posted)
        _knows = True
    return token


def _fetched(digest: str, job: str) -> bytes:
    data = ray_table.get(BUNDLE + digest, job)
    if data is None:
        raise BundleMissingError(digest, f"in the function table of Ray's job {job}")
    return data
