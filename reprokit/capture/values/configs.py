"""OmegaConf: configurations by what reading them gives, each interpolation as it resolves now.

What lies around a part of one, and what resolvers have remembered, such as the time at which Hydra started, does not count.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from reprokit.capture.values.plain import END, close, text

if TYPE_CHECKING:
    from reprokit.capture.values.encoder import Encoder


def find(kind: type) -> Callable[[Encoder, Any], bytes] | None:
    """Give the function for a class of OmegaConf's containers."""
    omegaconf: Any = sys.modules["omegaconf"]
    containers = (getattr(omegaconf, "DictConfig", ()), getattr(omegaconf, "ListConfig", ()))
    return _container if issubclass(kind, containers) else None


def _container(encoder: Encoder, value: Any) -> bytes:
    conf: Any = sys.modules["omegaconf"].OmegaConf  # type: ignore[attr-defined,unused-ignore]
    encoder.mutable = True
    parts = [b"@config:", encoder.form(type(value)), b"T" if conf.is_readonly(value) else b"F"]
    parts.append(b"T" if conf.is_struct(value) else b"F")
    made = conf.get_type(value)  # the dataclass of a structured one
    parts.append(encoder.value(made) if isinstance(made, type) else b"")
    if value._is_none():
        return close([*parts, b"N", END])
    if value._is_missing():
        return close([*parts, b"M", END])
    missing: list[Any] = []
    parts.append(encoder.pairs(b"d", _items(conf, value, missing)))
    return close([*parts, *(text(repr(key)) for key in missing), END])


def _items(conf: Any, value: Any, missing: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Give what reading each key gives; note those that have no value yet, which to read is an error."""
    for key in range(len(value)) if conf.is_list(value) else list(value.keys()):
        if conf.is_missing(value, key):
            missing.append(key)
        else:
            yield key, value[key]
