"""Pillow: images by mode, size, pixels, palette and what else they say of themselves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reprokit.capture.values.plain import END, close, counted
from reprokit.capture.values.unknown import Refused

if TYPE_CHECKING:
    from reprokit.capture.values.encoder import Encoder


def find(kind: type) -> Callable[[Encoder, Any], bytes] | None:
    """Give the function for an image."""
    images: Any = sys.modules.get("PIL.Image")
    return _image if images is not None and issubclass(kind, images.Image) else None


def _image(encoder: Encoder, value: Any) -> bytes:
    encoder.mutable = True
    if getattr(value, "tile", None) or getattr(value, "fp", None) is not None:
        raise Refused(type(value), "is not loaded from its file; give .copy() of it, or the path")
    parts = [b"@image:", encoder.form(type(value)), encoder.value(value.mode), encoder.value(tuple(value.size))]
    parts.append(counted(b"b", value.tobytes()))
    palette = value.palette
    if palette is not None:
        parts += [encoder.value(palette.mode), encoder.value(palette.rawmode)]
        parts.append(encoder.value(value.getpalette(None) if value.mode in ("P", "PA") else bytes(palette.palette)))
    parts.append(encoder.pairs(b"d", value.info.items()))
    return close([*parts, END])
