"""Sends local code and the open run to other processes: process pools, joblib, Dask, Ray.

The names below are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprokit.lazy import attach

if TYPE_CHECKING:
    from reprokit.ship.extend.cloudpickle import extend_cloudpickle as extend_cloudpickle
    from reprokit.ship.extend.dask import extend_dask as extend_dask
    from reprokit.ship.extend.ray import extend_ray as extend_ray
    from reprokit.ship.opening import executor as executor
    from reprokit.ship.plain import dumps as dumps
    from reprokit.ship.plain import loads as loads
    from reprokit.ship.worker import work as work

_HOMES = {
    "dumps": "reprokit.ship.plain",
    "executor": "reprokit.ship.opening",
    "extend_cloudpickle": "reprokit.ship.extend.cloudpickle",
    "extend_dask": "reprokit.ship.extend.dask",
    "extend_ray": "reprokit.ship.extend.ray",
    "loads": "reprokit.ship.plain",
    "work": "reprokit.ship.worker",
}

__all__ = ["dumps", "executor", "extend_cloudpickle", "extend_dask", "extend_ray", "loads", "work"]

__getattr__, __dir__ = attach(__name__, _HOMES)
