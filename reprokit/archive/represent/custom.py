"""Objects that say themselves how they are rebuilt: ``get_persistent_rep``, registered functions, ``repr``, pickle."""

from __future__ import annotations

import ast
import builtins
import warnings
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from reprokit.archive import form
from reprokit.archive.form import Form, Scope, Split
from reprokit.archive.graph import UnsupportedError
from reprokit.archive.objects import Archivable, Container
from reprokit.archive.represent.references import locate, reference
from reprokit.archive.represent.standard import state_fills

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.archive.draft import Draft

    Rep = tuple[str, dict[str, Any], list[tuple[str, str | None, str]]]


def with_persistent_rep(cls: type) -> Callable[[Draft, Any], Form] | None:
    """Represent objects that have ``get_persistent_rep(env)``, or its old name ``archive_1``."""
    return _of_archivable if hasattr(cls, "get_persistent_rep") or hasattr(cls, "archive_1") else None


def _of_archivable(draft: Draft, obj: Any) -> Form:
    if type(obj).__init__ is Container.__init__ and type(obj).get_persistent_rep is Archivable.get_persistent_rep:
        return _of_container(draft, obj)
    for name in ("get_persistent_rep", "archive_1"):
        method = getattr(obj, name, None)
        if method is None:
            continue
        if name == "archive_1":
            warnings.warn("archive_1 is deprecated: use get_persistent_rep", DeprecationWarning, stacklevel=2)
        try:
            rep = method(dict(draft.env))
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                raise  # a fault inside of it
            warnings.warn(f"Found {name}() but got TypeError:\n{error}", stacklevel=2)
            continue
        return scope(rep, type(obj))
    return fall_back(draft, obj)


def _of_container(draft: Draft, obj: Container) -> Form:
    """Write a container, which may contain itself."""
    name = reference(draft, type(obj))
    state = dict(obj.items())

    def split() -> Split:
        return Split(form.text(f"{name}()"), state_fills(draft, obj, state))

    if all(key.isidentifier() and not iskeyword(key) for key in state):
        return form.call(name, (), state, split=split)
    return Form("split", (), split=split)


def scope(rep: Any, cls: type) -> Scope:
    """Check ``(rep, args, imports)`` and make a form of it.

    Raises
    ------
    UnsupportedError
        It is no such thing, or its expression is none.
    """
    named = f"get_persistent_rep of {cls.__qualname__}"
    if not (isinstance(rep, tuple) and len(rep) == 3 and isinstance(rep[0], str)):
        raise UnsupportedError(f"{named} gave {type(rep).__name__}; it has to give (rep, args, imports)")
    expression, args, imports = rep
    try:
        ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnsupportedError(f"{named} gave no expression of Python: {expression[:80]!r}") from error
    clean: list[tuple[str, str | None, str]] = []
    for module, name, alias in imports:
        clean.append((str(module), name, str(alias or name or module)))
    names = [*args, *[alias for _, _, alias in clean], *[name for _, name, _ in clean if name is not None]]
    wrong = [name for name in names if not str(name).isidentifier()]
    if wrong or not all(part.isidentifier() for module, _, _ in clean for part in module.split(".")):
        raise UnsupportedError(f"{named} uses names that are none: {wrong[:3]}")
    return Scope(expression, dict(args), clean, opaque=True)


def by_function(function: Callable[[Any], Any]) -> Callable[[Draft, Any], Form]:
    """Represent with a registered function, see `registry.register`."""

    def _of_registered(draft: Draft, obj: Any) -> Form:
        rep = function(obj)
        if isinstance(rep, dict):
            return form.call(reference(draft, type(obj)), (), rep, opaque=True)
        return scope(rep, type(obj))

    return _of_registered


def with_repr(cls: type) -> Callable[[Draft, Any], Form] | None:
    """Represent objects whose ``repr`` is an expression that makes them again, or which pickle may take."""
    return fall_back


def fall_back(draft: Draft, obj: Any) -> Form:
    """Take the ``repr`` if it is an expression, pickle if that is allowed.

    Raises
    ------
    UnsupportedError
        Neither.
    """
    cls: Any = type(obj)
    if cls.__repr__ is not object.__repr__:
        found = _from_repr(draft, obj)
        if found is not None:
            return found
    if draft.allow_pickle:
        return _pickled(draft, obj)
    from reprokit.archive.represent.registry import _refuse

    return _refuse(draft, obj)


def _from_repr(draft: Draft, obj: Any) -> Form | None:
    """Take ``repr(obj)`` if evaluating it gives an object of the same class with the same ``repr``."""
    cls = type(obj)
    written = repr(obj)
    if not isinstance(written, str) or len(written) > 100_000:
        return None
    try:
        tree = ast.parse(written, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not (isinstance(tree.body, ast.Call) and _calls(tree.body.func, cls)):
        return None
    import sys

    home = vars(sys.modules.get(cls.__module__, builtins))
    known = {**home, **draft.env}
    imports: list[tuple[str, str | None, str]] = []
    for name in sorted({one.id for one in ast.walk(tree) if isinstance(one, ast.Name)}):
        if name in known:
            try:
                imports.append((*locate(known[name]), name) if name != cls.__name__ else (cls.__module__, name, name))
            except UnsupportedError:
                imports.append((cls.__module__, name, name))
        elif not hasattr(builtins, name):
            return None
    try:
        again = eval(compile(tree, "<repr>", "eval"), dict(known))  # noqa: S307  # the user's own object wrote it
        same = type(again) is cls and repr(again) == written
    except Exception:  # noqa: BLE001  # a repr that is no expression, for whatever reason
        return None
    return Scope(written, {}, imports, opaque=True) if same else None


def _calls(function: ast.expr, cls: type) -> bool:
    return isinstance(function, ast.Name) and function.id == cls.__name__


def _pickled(draft: Draft, obj: Any) -> Form:
    import pickle

    try:
        data = pickle.dumps(obj, protocol=5)
    except Exception as error:
        raise UnsupportedError(f"{type(obj).__qualname__} cannot be archived, nor pickled: {error}") from error
    return form.text(f"{draft.use('pickle', 'loads')}({data!r})")
