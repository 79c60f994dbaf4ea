"""Functions that classes written for `persist` use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def restore(archive: str, env: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Execute the source of an archive and give the items by name.

    Parameters
    ----------
    archive : str
        ``str(archive)``.
    env : mapping, optional
        Names that are there beforehand: ``_arrays`` for archives with data files.
    """
    names: dict[str, Any] = dict(env or {})
    exec(archive, names)  # noqa: S102  # the caller's own source; Archive.load is the safe way
    return names


def get_imports(obj: Any, env: Any = None) -> list[tuple[str, str | None, str]]:
    """Give the import of an object's class, as ``get_persistent_rep`` needs it."""
    cls = type(obj)
    return [(getattr(obj, "__module__", None) or cls.__module__, cls.__name__, cls.__name__)]


def repr_(obj: Any, robust: bool = True) -> str:
    """Give an expression for an object with ``get_persistent_rep``, the ``repr`` of its parts filled in."""
    import ast

    expression, args, _ = obj.get_persistent_rep()
    known = {name: ast.Name(repr(value), ast.Load()) for name, value in args.items()}

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return known.get(node.id, node)

    return ast.unparse(Fill().visit(ast.parse(expression, mode="eval")))
