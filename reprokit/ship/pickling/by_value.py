"""Functions and classes that no name leads to: their code travels, with what it needs.

A function of a local module gets the globals of that module, as it is imported on the other side; one of ``__main__``
takes the globals that it uses along.
"""

from __future__ import annotations

import itertools
import sys
from types import CellType, FunctionType
from typing import TYPE_CHECKING, Any

from reprokit.ship.pickling import peer, rebuild

if TYPE_CHECKING:
    from reprokit.ship.pickling.parcel import Parcel

BUILTIN = (type(None), type(Ellipsis), type(NotImplemented))


def function(parcel: Parcel, pickler: Any, made: FunctionType, whose: str | None) -> Any:
    """Reduce a function.

    Parameters
    ----------
    whose
        None: its globals are its module's.  Else they travel as far as it uses them, and imports look first into the bundle
        that this names (``""``: none).
    """
    code, space = made.__code__, made.__globals__
    if made.__closure__:
        parcel.cells.update(map(id, made.__closure__))
    used: dict[str, Any] = {}
    loaded: list[Any] = []
    args: tuple[Any, ...]
    if whose is None:
        args = (code, sys.modules[space["__name__"]], made.__closure__)
    else:
        used = {name: space[name] for name in peer.globals_of(code) if name in space}
        held = [one.cell_contents for one in made.__closure__ or () if not _is_empty(one)]
        loaded = peer.submodules_of(code, itertools.chain(used.values(), held))
        args = (code, _shared(pickler, space), made.__closure__)
        if whose:
            args += (parcel.token(whose),)
    state = (_slots(parcel, made), made.__dict__, used, loaded)
    return rebuild.function, args, state, None, None, rebuild.function_state


def _shared(pickler: Any, space: dict[str, Any]) -> dict[str, Any]:
    """Give the dictionary that functions with the same globals share in this pickle."""
    shared: dict[str, Any] = pickler.globals_ref.setdefault(id(space), {})
    if not shared:
        shared.update(
            {name: space[name] for name in ("__package__", "__name__", "__path__", "__file__") if name in space}
        )
    return shared


def _slots(parcel: Parcel, made: FunctionType) -> dict[str, Any]:
    """Give what a new function of the same code would not have."""
    new = FunctionType(made.__code__, made.__globals__, None, None, made.__closure__)
    found: dict[str, Any] = {
        name: getattr(made, name)
        for name in ("__name__", "__qualname__", "__doc__", "__type_params__")
        if getattr(made, name, ()) != getattr(new, name, ())
    }
    found |= {
        name: value for name in ("__defaults__", "__kwdefaults__", "__annotations__") if (value := getattr(made, name))
    }
    if made.__module__ != new.__module__:
        found["__module__"] = parcel.name_of_module(made.__module__)
    return found


def _is_empty(one: CellType) -> bool:
    try:
        one.cell_contents  # noqa: B018 - asking is how to find out
    except ValueError:
        return True
    return False


def cell(one: CellType) -> Any:
    """Reduce a cell; it is known by the time that its contents are pickled, for they may lead back to it."""
    state = None if _is_empty(one) else (one.cell_contents,)
    return (rebuild.cell, ()) if state is None else (rebuild.cell, (), state, None, None, rebuild.fill)


def class_(parcel: Parcel, made: type) -> Any:
    """Reduce a class."""
    maker, args, (contents, slots), _, _, _ = peer.reduce_class(made)
    name = parcel.name_of_module(made.__module__)
    if name is not made.__module__:
        if maker is peer.make_enum:
            args = (*args[:4], name, *args[5:])
        else:
            args = (*args[:3], {**args[3], "__module__": name}, *args[4:])
        contents = {**contents, "__module__": name}
    contents["__qualname__"] = made.__qualname__
    rebuilt = rebuild.enum if maker is peer.make_enum else rebuild.class_
    return rebuilt, args, (contents, slots), None, None, rebuild.class_state
