"""Tells what an archive holds, without importing or building it."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.archive import loaders
from reprokit.archive.reading import locate, read_source
from reprokit.archive.safe import data
from reprokit.archive.safe.reader import parse, split
from reprokit.archive.safe.statements import imported
from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHOWN = 20  # parts of a container that are listed
_DEEPEST = 4  # levels of containers that are looked into
_BEHIND = frozenset({"reshape", "view", "set_axis", "array", "tz_localize", "tz_convert", "as_unit"})
_LITERALS: dict[type, str] = {ast.List: "list", ast.Tuple: "tuple", ast.Dict: "dict", ast.Set: "set"}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An item of an archive."""

    name: str
    type: str
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    size: int | None = None  # bytes of its array
    length: int | None = None
    value: str | None = None
    note: str | None = None
    parts: tuple[Entry, ...] = ()


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive holds."""

    path: str
    format: str
    source_size: int  # bytes
    data_size: int  # bytes
    items: tuple[Entry, ...]


def summarize(path: Path) -> Summary:
    """Read an archive's source and the headers of its data.

    Raises
    ------
    ArchiveError
        There is no archive, or its source is none.
    """
    from reprokit.archive.shell import NOTES_FILE

    if (path / NOTES_FILE).is_file():
        return _of_data_set(path, NOTES_FILE)
    source = locate(path)
    text = read_source(source)
    table, body = split(text)
    arrays = _arrays(table, source.parent) if table is not None else ({}, [])
    scene = _Scene(arrays)
    for statement in parse(body).body:
        scene.see(statement)
    version = str(loaders.VERSION) if text.startswith("# reprokit archive, format ") else "none"
    where = [source.parent / table.where] if table is not None else []
    size = sum(one.stat().st_size for place in where for one in (place.iterdir() if place.is_dir() else [place]))
    return Summary(
        path=os.fspath(source),
        format=version,
        source_size=len(text.encode()),
        data_size=size,
        items=tuple(scene.entries()),
    )


def _of_data_set(folder: Path, notes_file: str) -> Summary:
    """Tell what a data set holds: each item from its own module, and its note."""
    from reprokit.archive.notes import Notes

    notes = Notes(os.fspath(folder / notes_file))
    notes.refresh()
    items = []
    source_size = data_size = 0
    for name in sorted(notes.lines):
        note = _short(notes.text(name))
        entry = Entry(name=name, type="note")
        if notes.has_item(name):
            found = summarize(folder / f"{name}.py")
            source_size += found.source_size
            data_size += found.data_size
            entry = next((one for one in found.items if one.name == name), Entry(name=name, type="?"))
        items.append(msgspec.structs.replace(entry, note=None if note == "None" else note))
    return Summary(
        path=os.fspath(folder), format="data set", source_size=source_size, data_size=data_size, items=tuple(items)
    )


def _arrays(table: data.Table, folder: Path) -> tuple[dict[str, Any], list[Any]]:
    """Map the arrays; nothing of them is read but their headers, save for the formats that can't be mapped."""
    return data.read(table, folder, mmap=True)


class _Scene:
    """Names and the expressions that they stand for."""

    def __init__(self, arrays: tuple[dict[str, Any], list[Any]]) -> None:
        self._arrays, self._packed = arrays
        self._values: dict[str, ast.expr] = {}
        self._imports: dict[str, str] = {}
        self._deleted: set[str] = set()

    def see(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            self._values[statement.targets[0].id] = statement.value
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            self._imports.update({name: one.full for name, one in imported(statement).items()})
        elif isinstance(statement, ast.FunctionDef) and isinstance(statement.body[-1], ast.Return):
            for one in statement.body[:-1]:
                self._imports.update({name: found.full for name, found in imported(one).items()})
            self._values[f"{statement.name}()"] = statement.body[-1].value or ast.Constant(None)
        elif isinstance(statement, ast.Delete):
            self._deleted |= {one.id for one in statement.targets if isinstance(one, ast.Name)}

    def entries(self) -> Iterator[Entry]:
        for name, value in self._values.items():
            if name not in self._deleted and name != "_arrays" and not name.endswith("()"):
                yield self._entry(name, value)

    def _parts(self, value: ast.expr, depth: int) -> tuple[Entry, ...]:
        """Describe what a container holds, where that is more than plain values."""
        if isinstance(value, ast.Dict):
            named = [
                (ast.unparse(key) if key is not None else "**", one)
                for key, one in zip(value.keys, value.values, strict=True)
            ]
        else:
            named = [(str(number), one) for number, one in enumerate(value.elts)]  # type: ignore[attr-defined]
        worth = [(_short(name), one) for name, one in named[:_SHOWN] if not isinstance(one, ast.Constant)]
        return tuple(self._entry(name, one, depth + 1) for name, one in worth) if depth < _DEEPEST else ()

    def _entry(self, name: str, value: ast.expr, depth: int = 0) -> Entry:
        value = self._through(value)
        array = self._array(value)
        if array is not None:
            return Entry(name=name, type="numpy.ndarray", shape=array.shape, dtype=str(array.dtype), size=array.nbytes)
        if isinstance(value, ast.Constant):
            return Entry(name=name, type=type(value.value).__name__, value=_short(repr(value.value)))
        for kind, called in _LITERALS.items():
            if isinstance(value, kind):
                length = len(value.keys) if isinstance(value, ast.Dict) else len(value.elts)  # type: ignore[attr-defined]
                return Entry(name=name, type=called, length=length, parts=self._parts(value, depth))
        if isinstance(value, ast.UnaryOp | ast.BinOp):
            return Entry(name=name, type="number", value=_short(ast.unparse(value)))
        if isinstance(value, ast.Call):
            return self._called(name, value, depth)
        return Entry(name=name, type=self._full(value), value=None)

    def _called(self, name: str, value: ast.Call, depth: int) -> Entry:
        function = self._full(value.func)
        if function == "json.loads":
            text = value.args[0].value if value.args and isinstance(value.args[0], ast.Constant) else ""
            kind = {"{": "dict", "[": "list"}.get(str(text)[:1], "plain data")
            return Entry(name=name, type=kind, value=f"{len(str(text))} characters of JSON")
        if isinstance(value.func, ast.Attribute) and value.func.attr in _BEHIND:
            return self._entry(name, value.func.value, depth)
        shown = {"numpy.array": "numpy.ndarray", "numpy.frombuffer": "numpy.ndarray", "numpy.fromiter": "numpy.ndarray"}
        given = [one.value for one in value.keywords if one.arg == "dtype" and isinstance(one.value, ast.Constant)]
        kind = function.removesuffix(".__new__")
        if function.endswith(".__new__") and value.args:
            kind = self._full(value.args[0])
        shape = _shape(value.args[0]) if kind == "numpy.array" and value.args else None
        dtype = str(given[0].value) if given and kind in shown else None
        return Entry(name=name, type=shown.get(kind, kind), dtype=dtype, shape=shape)

    def _through(self, value: ast.expr) -> ast.expr:
        for _ in range(100):
            if isinstance(value, ast.Name) and value.id in self._values:
                value = self._values[value.id]
            elif (
                isinstance(value, ast.Call)
                and isinstance(value.func, ast.Name)
                and f"{value.func.id}()" in self._values
            ):
                value = self._values[f"{value.func.id}()"]
            else:
                break
        return value

    def _array(self, value: ast.expr) -> Any:
        if not (
            isinstance(value, ast.Subscript)
            and isinstance(value.value, ast.Name)
            and isinstance(value.slice, ast.Constant)
        ):
            return None
        key: Any = value.slice.value
        try:
            return self._arrays[key] if value.value.id == "_arrays" else self._packed[key]
        except (LookupError, TypeError):
            return None

    def _full(self, value: ast.expr) -> str:
        if isinstance(value, ast.Name):
            return self._imports.get(value.id, value.id).removeprefix("builtins.")
        if isinstance(value, ast.Attribute):
            return f"{self._full(value.value)}.{value.attr}"
        return type(value).__name__


def _shape(value: ast.expr) -> tuple[int, ...]:
    """Give the shape of nested lists."""
    shape: list[int] = []
    while isinstance(value, ast.List):
        shape.append(len(value.elts))
        if not value.elts:
            break
        value = value.elts[0]
    return tuple(shape)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


__all__ = ["ArchiveError", "Entry", "Summary", "summarize"]
