"""Finds the representer of an object.  Libraries that are not loaded are never loaded for it."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from reprokit.archive.graph import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.archive.draft import Draft
    from reprokit.archive.form import Form

    Representer = Callable[[Draft, Any], Form]

_HOME = "reprokit.archive.represent"
# library that has to be loaded, module here
_LIBRARIES = (
    ("numpy", "numpy_values"),
    ("scipy.sparse", "sparse"),
    ("pandas", "frames"),
    ("xarray", "labelled"),
    ("pydantic", "models"),
    ("msgspec", "models"),
    ("attr", "models"),
)

exact: dict[type, Representer] = {}
registered: dict[type, Callable[[Any], Any]] = {}
checks: list[Callable[[type], Representer | None]] = []
libraries: list[Callable[[type], Representer | None]] = []  # checks of libraries, when those are loaded
_loaded: set[str] = set()
_found: dict[type, Representer] = {}


def exactly(*types: type) -> Callable[[Representer], Representer]:
    """Register a representer for types, not for their subclasses."""

    def keep(function: Representer) -> Representer:
        for one in types:
            exact[one] = function
        return function

    return keep


def register(cls: type, function: Callable[[Any], Any]) -> None:
    """Say how instances of a class, and of its subclasses, are archived.

    Parameters
    ----------
    cls : type
        The class.
    function : callable
        Is given an instance; gives ``(rep, args, imports)`` as ``get_persistent_rep`` does: an expression, the
        objects that it names, and a list of ``(module, name, alias)``.  Or it gives a dict: the keyword
        arguments with which the class makes the instance anew.

    Notes
    -----
    Safe loading calls registered classes; it calls no other function that `rep` may name.
    """
    if not isinstance(cls, type) or not callable(function):
        raise TypeError(f"register({cls!r}, {function!r}): a class and a function of an instance are needed")
    registered[cls] = function
    _found.clear()


def represent(draft: Draft, obj: Any) -> Form:
    """Give the form of an object.

    Raises
    ------
    UnsupportedError
        No representer knows the object.
    """
    cls = type(obj)
    function = exact.get(cls) if not registered or cls not in registered else None
    if function is None:
        function = _found.get(cls)
        if function is None:
            function = _found[cls] = _find(cls)
    return function(draft, obj)


def _find(cls: type) -> Representer:
    if not checks:
        load_builtin()
    for library, home in _LIBRARIES:
        if library in sys.modules and home not in _loaded:
            importlib.import_module(f"{_HOME}.{home}")
            _loaded.add(home)
            load_builtin()
    for base in cls.__mro__:
        if base in registered:
            from reprokit.archive.represent.custom import by_function

            return by_function(registered[base])
    if cls in exact:
        return exact[cls]
    for check in checks:
        function = check(cls)
        if function is not None:
            return function
    return _refuse


def _refuse(draft: Draft, obj: Any) -> Form:
    cls = type(obj)
    name = f"{cls.__module__}.{cls.__qualname__}"
    raise UnsupportedError(
        f"{name} cannot be archived; define get_persistent_rep(self, env) in the class, derive it from "
        f"reprokit.archive.Archivable, make it a dataclass, or register({cls.__name__}, function)"
    )


def load_builtin() -> None:
    """Load the representers of builtin and standard types, and put the checks in their order."""
    for home in ("containers", "standard", "references", "records", "subclasses", "custom"):
        importlib.import_module(f"{_HOME}.{home}")
    from reprokit.archive.represent import custom, records, references, standard, subclasses

    checks[:] = [
        custom.with_persistent_rep,
        standard.for_enumeration,
        references.for_class,
        *libraries,
        records.for_record,
        subclasses.for_subclass,
        custom.with_repr,
    ]
