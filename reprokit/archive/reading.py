"""Reads saved archives: by executing their source, or (see `safe`) without."""

from __future__ import annotations

import itertools
import os
import re
import sys
import time
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.archive import loaders
from reprokit.archive.items import Items
from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

_CODING = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")  # PEP 263
_numbers = itertools.count()
_PATIENCE = 5.0  # seconds for which an archive that is saved again and again is tried
LARGEST = 1 << 30  # bytes that the source of an archive may have


def locate(path: Path) -> Path:
    """Give the source of an archive.

    Raises
    ------
    ArchiveError
        There is none at `path`.
    """
    for one in (path / "__init__.py", path, path.with_name(f"{path.name}.py")):
        if one.is_file():
            return one
    raise ArchiveError(path, "there is no archive; name the package's folder, or the module's file")


def load(path: Path, *, trust: bool, allow: tuple[str | type, ...], mmap: bool | None) -> Items:
    """Read an archive; see `Archive.load`."""
    path = Path(os.path.abspath(path))
    if trust:
        return _again(path, lambda: _execute(locate(path), mmap))
    from reprokit.archive.safe import reader

    return _again(path, lambda: reader.read(locate(path), allow=allow, mmap=mmap))


def _again(path: Path, read: Callable[[], Items]) -> Items:
    """Read once more when the archive was replaced meanwhile."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return read()
        except (FileNotFoundError, ReplacedError) as error:
            missing = isinstance(error, FileNotFoundError)
            if isinstance(error, FileNotFoundError) and not str(error.filename).startswith(
                os.fspath(path).removesuffix(".py")
            ):
                raise  # something else that the source looks for
            if time.monotonic() > end:
                raise ArchiveError(str(error)) from error
            if missing:
                time.sleep(0.002)
                end = min(end, time.monotonic() + 0.5)


class ReplacedError(ImportError):
    """The archive was saved anew between reading its source and its data."""


def read_source(source: Path) -> str:
    """Give the text of an archive's source.

    Raises
    ------
    ArchiveError
        It is too large, or no text.
    """
    with open(source, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            raise ArchiveError(source, f"{size} bytes of source are more than {LARGEST}, the limit")
        data = file.read()
    data = data.removeprefix(b"\xef\xbb\xbf")
    for line in data.split(b"\n", 2)[:2]:
        found = _CODING.match(line)
        if found and found[1].lower() not in (b"utf-8", b"utf8"):
            raise ArchiveError(source, f"is in the encoding {found[1].decode()}; archives are in UTF-8")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ArchiveError(source, f"is no text: {error}") from error


def _execute(source: Path, mmap: bool | None) -> Items:
    text = read_source(source)
    if mmap is not None:
        text = text.replace(f"> {loaders.MAPPED} else None", f"> {-1 if mmap else sys.maxsize} else None", 1)
    name = f"_reprokit_archive_{next(_numbers)}"
    module = types.ModuleType(name)
    module.__file__ = os.fspath(source)
    if source.name == "__init__.py":
        module.__path__ = [os.fspath(source.parent)]
    before = set(vars(module)) | {"__builtins__"}
    sys.modules[name] = module
    try:
        exec(compile(text, os.fspath(source), "exec", dont_inherit=True), vars(module))  # noqa: S102  # trust=True
        found: Any = sys.modules.get(name)
    except ImportError as error:
        if error.path == os.fspath(source):
            raise ReplacedError(str(error)) from error
        raise
    finally:
        sys.modules.pop(name, None)
    if found is not module:
        items = {one: value for one, value in vars(module).items() if value is found and one not in before}
        return Items([next(iter(items.items()))] if items else {source.stem: found})
    return Items({one: value for one, value in vars(module).items() if one not in before and not one.startswith("_g_")})
