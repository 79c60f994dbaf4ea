"""Which function encodes a value, by its type; what nobody can know is refused here."""

from __future__ import annotations

import enum
import io
import sys
import types
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from reprokit.capture.values import callables, instances, standard
from reprokit.capture.values.unknown import Refused

if TYPE_CHECKING:
    from reprokit.capture.values.encoder import Encoder

Handler = Callable[["Encoder", Any], bytes]

# The libraries whose values have a form of their own, and the module that knows it.
LIBRARIES = {
    "numpy": "numpys",
    "pandas": "frames",
    "scipy": "labelled",
    "xarray": "labelled",
    "polars": "polar",
    "pyarrow": "arrow",
    "torch": "tensors",
    "PIL": "images",
    "omegaconf": "configs",
}
_REFUSED: dict[type, str] = {
    types.ModuleType: "is a module, whose content changes",
    types.FrameType: "is a frame of a running call",
    types.TracebackType: "is a traceback",
    types.CodeType: "is code without the function around it",
    types.CoroutineType: "is a coroutine, which can run once",
    types.AsyncGeneratorType: "is an asynchronous generator, which can run once",
    types.CellType: "is the cell of a closure",
    io.IOBase: "is a file, whose content may change",
}


def find(kind: type) -> Handler:
    """Give the function that encodes values of a type."""
    known = standard.EXACT.get(kind) or callables.EXACT.get(kind)
    if known is not None:
        return known
    if issubclass(kind, type):
        return _class
    if issubclass(kind, enum.Enum):
        return standard.member
    for base in kind.__mro__:
        if (library := base.__module__.partition(".")[0] if isinstance(base.__module__, str) else "") in LIBRARIES:
            if library not in sys.modules:
                continue
            of_library: Handler | None = import_module(f"{__package__}.{LIBRARIES[library]}").find(kind)
            if of_library is not None:
                return of_library
    for base, why in _REFUSED.items():
        if issubclass(kind, base):
            return _refusal(why)
    if hasattr(kind, "__next__"):
        return _refusal("is an iterator, and reading it would use it up; give a list")
    return callables.find(kind) or standard.find(kind) or instances.instance


def _class(encoder: Encoder, value: type) -> bytes:
    return encoder.kind(value)


def _refusal(why: str) -> Handler:
    def refuse(encoder: Encoder, value: Any) -> NoReturn:
        raise Refused(type(value), why)

    return refuse
