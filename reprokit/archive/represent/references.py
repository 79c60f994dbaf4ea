"""Functions, classes, methods and modules: by import, never by value."""

from __future__ import annotations

import functools
import sys
import types
from typing import TYPE_CHECKING, Any

from reprokit.archive import form
from reprokit.archive.form import Form
from reprokit.archive.graph import UnsupportedError
from reprokit.archive.represent.registry import exactly

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.archive.draft import Draft

_TYPES = {getattr(types, name): name for name in types.__all__ if isinstance(getattr(types, name), type)}


def locate(obj: Any) -> tuple[str, str]:
    """Give the module and the qualified name under which an object can be imported.

    Raises
    ------
    UnsupportedError
        There is no such name, or something else has it.
    """
    name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
    module = getattr(obj, "__module__", None)
    if name is None:
        raise UnsupportedError(f"{type(obj).__name__} has no name to import it by")
    for home in (module, *_other_homes(obj)):
        if home is not None and _find(home, name) is obj:
            return home, name
    if isinstance(obj, type) and obj in _TYPES:
        return "types", _TYPES[obj]
    where = "a function" if "<locals>" in name else repr(module)
    remedy = "define it at the top of a module" if "<" in name else "it has to be found there by import"
    raise UnsupportedError(f"{name} of {where} cannot be imported; {remedy}")


def _other_homes(obj: Any) -> list[str]:
    """Say where what doesn't know its module may be found: ufuncs do not."""
    kind = type(obj).__module__.partition(".")[0]
    return [kind, f"{kind}.special"] if kind in sys.modules and kind != "builtins" else []


def _find(module: str, name: str) -> Any:
    value: Any = sys.modules.get(module)
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def reference(draft: Draft, obj: Any) -> str:
    """Give the expression for something importable."""
    return draft.use(*locate(obj))


@exactly(types.FunctionType, types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)
def _of_function(draft: Draft, obj: Any) -> Form:
    owner = getattr(obj, "__self__", None)
    if owner is not None and not isinstance(owner, types.ModuleType):  # a method of a builtin type
        return _attribute(draft, owner, obj.__name__)
    holder = getattr(obj, "__objclass__", None)
    if holder is not None:
        return form.text(f"{reference(draft, holder)}.{obj.__name__}", cheap=True)
    return form.text(reference(draft, obj), cheap=True)


@exactly(types.MethodType)
def _of_method(draft: Draft, obj: types.MethodType) -> Form:
    name = obj.__func__.__name__
    if getattr(obj.__self__, name, None) != obj:
        raise UnsupportedError(f"{name}, a method, is not found in its own {type(obj.__self__).__name__}")
    return _attribute(draft, obj.__self__, name)


def _attribute(draft: Draft, owner: Any, name: str) -> Form:
    if isinstance(owner, type):
        return form.text(f"{reference(draft, owner)}.{name}", cheap=True)
    return Form("call", ("(", f").{name}"), [owner])


@exactly(types.ModuleType)
def _of_module(draft: Draft, obj: types.ModuleType) -> Form:
    if sys.modules.get(obj.__name__) is not obj:
        raise UnsupportedError(f"module {obj.__name__!r} cannot be imported by that name")
    return form.text(draft.use(obj.__name__, None), cheap=True)


def for_class(cls: type) -> Callable[[Draft, Any], Form] | None:
    """Represent classes, whatever made them, and ufuncs."""
    if issubclass(cls, type) or (
        cls.__name__ in {"ufunc", "_ArrayFunctionDispatcher"} and cls.__module__.startswith("numpy")
    ):
        return _of_class
    return None


@exactly(type)
def _of_class(draft: Draft, obj: Any) -> Form:
    return form.text(reference(draft, obj), cheap=True)


@exactly(functools.partial)
def _of_partial(draft: Draft, obj: functools.partial[Any]) -> Form:
    keywords = {str(name): value for name, value in obj.keywords.items()}
    if not all(name.isidentifier() for name in keywords):
        raise UnsupportedError("partial has keyword arguments that are no names")
    return form.call(draft.use("functools", "partial"), [obj.func, *obj.args], keywords)
