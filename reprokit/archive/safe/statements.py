"""Runs the statements that archives are made of, without running Python."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from reprokit.archive.safe.evaluate import Evaluator, Function
from reprokit.archive.safe.refusal import refuse
from reprokit.archive.safe.resolve import Reference
from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

_IGNORED = "_g_clear_single_item_modules"  # what `persist` writes at the end of packages


class Program:
    """An archive's source, statement by statement.

    Parameters
    ----------
    evaluator : Evaluator
        Evaluates the expressions.
    arrays : callable, optional
        Reads the data files that a loader of `persist`, given as the parsed function, reads.
    """

    def __init__(self, evaluator: Evaluator, arrays: Callable[[ast.FunctionDef], Any] | None = None) -> None:
        self.evaluator = evaluator
        self.names = evaluator.names
        self.single = ""
        self._arrays = arrays

    def run(self, body: list[ast.stmt]) -> None:
        """Run all statements; the items are in ``names`` then.

        Raises
        ------
        ArchiveError
            A statement that archives are not made of.
        """
        for statement in body:
            self._run(statement)

    def _run(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Assign):
            self._assign(statement)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            self.names.update(imported(statement))
        elif isinstance(statement, ast.FunctionDef):
            self._define(statement)
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            if not (isinstance(statement.value.func, ast.Name) and statement.value.func.id == _IGNORED):
                self.evaluator.statement(statement.value)
        elif isinstance(statement, ast.Delete):
            self._delete(statement, missing=False)
        elif isinstance(statement, ast.Try) and _is_cleaning(statement):
            self._delete(statement.body[0], missing=True)  # type: ignore[arg-type]
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            pass  # a docstring
        else:
            raise refuse(f"a statement ({type(statement).__name__})", statement.lineno)

    def _assign(self, statement: ast.Assign) -> None:
        if self._is_replacing_module(statement):
            return
        if not all(isinstance(target, ast.Name) for target in statement.targets):
            raise refuse("an assignment to something that is no name", statement.lineno)
        value = statement.value
        called = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
        later = type(self.names.get(called)) is _Later
        result = self.names.pop(called)() if later else self.evaluator.value(value)
        for target in statement.targets:
            assert isinstance(target, ast.Name)
            if target.id.startswith("__"):
                raise refuse(f"an assignment to {target.id}", statement.lineno)
            self.names[target.id] = result

    def _is_replacing_module(self, statement: ast.Assign) -> bool:
        """Whether a statement puts the single item in the module's place: ``sys.modules[__name__] = x``."""
        target = statement.targets[0]
        if not (
            isinstance(target, ast.Subscript)
            and isinstance(target.value, ast.Attribute)
            and target.value.attr == "modules"
            and isinstance(target.value.value, ast.Name)
            and isinstance(target.slice, ast.Name)
            and target.slice.id == "__name__"
            and isinstance(statement.value, ast.Name)
        ):
            return False
        module = self.names.get(target.value.value.id)
        if type(module) is not Reference or module.full != "sys":
            return False
        self.single = statement.value.id
        return True

    def _define(self, statement: ast.FunctionDef) -> None:
        if statement.name == _IGNORED:
            return
        if statement.name == "_arrays" and self._arrays is not None:
            self.names["_arrays"] = _Later(self._arrays, statement)
            return
        args = statement.args
        plain = not (args.posonlyargs or args.kwonlyargs or args.vararg or args.kwarg or statement.decorator_list)
        plain = plain and statement.returns is None and not any(one.annotation for one in args.args)
        plain = plain and not getattr(statement, "type_params", None)
        body, last = statement.body[:-1], statement.body[-1]
        if (
            not plain
            or len(args.defaults) != len(args.args)
            or not isinstance(last, ast.Return)
            or last.value is None
            or not all(isinstance(one, ast.Import | ast.ImportFrom) for one in body)
        ):
            raise refuse(f"the function {statement.name}", statement.lineno)
        defaults = {one.arg: self.evaluator.look(value) for one, value in zip(args.args, args.defaults, strict=True)}
        self.names[statement.name] = Function(defaults, body, last.value)

    def _delete(self, statement: ast.Delete, *, missing: bool) -> None:
        for target in statement.targets:
            if not isinstance(target, ast.Name):
                raise refuse("deleting something that is no name", statement.lineno)
            if target.id not in self.names and not missing and target.id not in (_IGNORED, "_arrays"):
                raise ArchiveError(f"line {statement.lineno}", f"deletes {target.id}, which is not there")
            self.names.pop(target.id, None)


class _Later:
    """Data that are read when a loader is called."""

    def __init__(self, read: Callable[[ast.FunctionDef], Any], statement: ast.FunctionDef) -> None:
        self._read = read
        self._statement = statement

    def __call__(self) -> Any:
        return self._read(self._statement)


def imported(statement: ast.stmt) -> dict[str, Reference]:
    """Give the names that an import binds; nothing is imported."""
    found = {}
    if isinstance(statement, ast.Import):
        for one in statement.names:
            if one.asname is None and "." in one.name:
                raise refuse(f"import {one.name} without a name for it", statement.lineno)
            found[one.asname or one.name] = Reference(one.name, "")
    elif isinstance(statement, ast.ImportFrom):
        if statement.level or statement.module is None or any(one.name == "*" for one in statement.names):
            raise refuse("a relative or starred import", statement.lineno)
        for one in statement.names:
            found[one.asname or one.name] = Reference(statement.module, one.name)
    return found


def _is_cleaning(statement: ast.Try) -> bool:
    """Whether it is ``try: del names`` with ``except NameError: pass``."""
    handlers = statement.handlers
    return (
        len(statement.body) == 1
        and isinstance(statement.body[0], ast.Delete)
        and len(handlers) == 1
        and isinstance(handlers[0].type, ast.Name)
        and len(handlers[0].body) == 1
        and isinstance(handlers[0].body[0], ast.Pass)
        and not statement.orelse
        and not statement.finalbody
    )
