"""Cargo in Ray's function table: where Ray itself keeps the functions of a job for the workers that will need them.

An entry is found by name from every process of the cluster, whoever made it, and goes when the job is over.  References to
objects would cost some 200 bytes and a share of Ray's bookkeeping in each task, and die with the process that owns them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from reprokit.ship.engines.ray_package import ray

if TYPE_CHECKING:
    from collections.abc import Iterable

_SPACE = b"fun"  # Ray's KV_NAMESPACE_FUNCTION_TABLE
_KIND = b"RemoteFunction"  # such entries Ray deletes with their job


def job() -> str:
    """Give the id of the job that this process works for."""
    return str(ray.get_runtime_context().get_job_id())


def put(name: str, data: bytes) -> bool:
    """Add an entry to the table of this process's job; tells whether it was not there before."""
    known: bool = _kv()._internal_kv_put(_key(job(), name), data, overwrite=False, namespace=_SPACE)
    return not known


def get(name: str, of: str) -> bytes | None:
    """Give an entry of a job's table, None when there is none."""
    found: bytes | None = _kv()._internal_kv_get(_key(of, name), namespace=_SPACE)
    return found


def drop(names: Iterable[str], of: str) -> None:
    """Delete entries of a job's table."""
    for name in names:
        _kv()._internal_kv_del(_key(of, name), namespace=_SPACE)


def _key(of: str, name: str) -> bytes:
    return b":".join((_KIND, of.encode(), b"reprokit-" + name.encode()))


def _kv() -> Any:
    return importlib.import_module("ray.experimental.internal_kv")
