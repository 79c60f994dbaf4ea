"""Reads an archive without running it."""

from __future__ import annotations

import ast
import os
import warnings
from typing import TYPE_CHECKING, Any

from reprokit.archive import loaders
from reprokit.archive.items import Items
from reprokit.archive.pause import paused
from reprokit.archive.reading import read_source
from reprokit.archive.safe import data
from reprokit.archive.safe.evaluate import Evaluator, Function
from reprokit.archive.safe.refusal import refuse
from reprokit.archive.safe.resolve import Reference, Resolver
from reprokit.archive.safe.statements import Program
from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_HEADER = "# reprokit archive, format "
_DATA_LINE = 16 << 20  # characters that the table of data files may have


def read(source: Path, *, allow: Iterable[Any] = (), mmap: bool | None = None) -> Items:
    """Read an archive; see `Archive.load`.

    Raises
    ------
    ArchiveError
        The archive is damaged, or asks for what is not allowed.
    """
    if os.path.realpath(source) != os.path.join(os.path.realpath(source.parent), source.name):
        raise ArchiveError(str(source), "is a link; only a source inside of the archive is read; name what it leads to")
    try:
        with paused():
            return _read(source, read_source(source), allow, mmap)
    except ArchiveError as error:
        raise type(error)(str(source), *error.args) from error.__cause__ or None
    except RecursionError:
        raise ArchiveError(str(source), "is nested too deep") from None
    except MemoryError:
        raise ArchiveError(str(source), "takes more memory than there is") from None


def _read(source: Path, text: str, allow: Iterable[Any], mmap: bool | None) -> Items:
    table, body = split(text)
    names: dict[str, Any] = {}
    if table is not None:
        names["_arrays"], names["_packed"] = data.read(table, source.parent, mmap)
        if read_source(source) != text:
            from reprokit.archive.reading import ReplacedError

            raise ReplacedError(f"{source}: was saved anew while it was being read")
    evaluator = Evaluator(Resolver(allow), names)
    program = Program(evaluator, lambda function: _by_peer(function, source, mmap))
    program.run(parse(body).body)
    for name, value in names.items():
        if type(value) is Function:
            raise refuse(f"{name}, a function that is never called,")
    hidden = (Reference, Function)
    items = {
        name: value for name, value in names.items() if name not in ("_arrays", "_packed") and type(value) not in hidden
    }
    if program.single:
        items = {program.single: items[program.single]}
    return Items(items)


def split(text: str) -> tuple[data.Table | None, str]:
    """Give the table of data files, if there is one, and the rest of the source.

    Raises
    ------
    ArchiveError
        A later format, or a loader that is not the one of the format.
    """
    if text.startswith(_HEADER):
        version = text[len(_HEADER) : len(_HEADER) + 20].partition(",")[0]
        if version != str(loaders.VERSION):
            raise ArchiveError(f"format {version!r}", f"this reprokit reads format {loaders.VERSION}; update reprokit")
    first, _, rest = text.partition("\n")
    if not (first.startswith(_HEADER) and rest.startswith("_layout = ")):
        return None, text
    line, _, rest = rest.partition("\n")
    if len(line) > _DATA_LINE:
        raise ArchiveError("_layout", "is too long")
    try:
        table = data.Table(ast.literal_eval(line.removeprefix("_layout = ")))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        if isinstance(error, ArchiveError):
            raise
        raise ArchiveError("_layout", f"is damaged: {error}") from error
    loader = loaders.LOADERS[table.format] + loaders.CALL
    if not rest.startswith(loader):
        raise ArchiveError("_load", "is not the loader of this format; pass trust=True if you know who changed it")
    head = "\n" * (2 + loader.count("\n"))  # so that lines keep their numbers
    return table, head + rest[len(loader) :].replace(loaders.CLEAN, "\n")


def parse(text: str) -> ast.Module:
    """Parse source, without a word.

    Raises
    ------
    ArchiveError
        It is no Python, or nested beyond what the parser takes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except SyntaxError as error:
            raise ArchiveError(f"line {error.lineno}", f"is no source of an archive: {error.msg}") from error
        except (ValueError, RecursionError, MemoryError) as error:
            raise ArchiveError("the source", f"cannot be parsed: {error or type(error).__name__}") from error


def _by_peer(function: ast.FunctionDef, source: Path, mmap: bool | None) -> dict[str, Any]:
    """Read the data files of an archive that `persist` wrote, from what its loader says."""
    names: list[Any] | None = None
    where = ""
    kind = "npz"
    for node in ast.walk(function):
        if isinstance(node, ast.For) and isinstance(node.iter, ast.List):
            names = [one.value if isinstance(one, ast.Constant) else None for one in node.iter.elts]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "join":
            texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
            where = str(texts[0]) if len(texts) == 1 else where
            kind = "npy" if len(node.args) == 3 else kind
        elif isinstance(node, ast.alias) and node.name == "h5py":
            kind = "hdf5"
    if names is None or not where:
        raise ArchiveError(f"line {function.lineno}", "a loader of data files that is not known")
    return data.read_files(kind, source.parent, where, names, mmap)
