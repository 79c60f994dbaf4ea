"""Which of a project's modules this process has imported, and whether a source is what they run."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import marshal
import opcode
import os
import sys
import time
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from reprokit import process
from reprokit.code import PREFIX, loaded
from reprokit.code.foreign import is_foreign

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_TOLERANCE = 0.1  # seconds by which the clocks of file system and process may differ
_HEADER = 16  # bytes of a byte code file before the code (PEP 552)
_LOAD_CONST = opcode.opmap["LOAD_CONST"]
_LOAD_SMALL_INT = opcode.opmap.get("LOAD_SMALL_INT", -1)  # CPython 3.14
_STORE_NAME = opcode.opmap["STORE_NAME"]
_EXTENDED = opcode.opmap["EXTENDED_ARG"]
_GLOBALS = frozenset((opcode.opmap["STORE_GLOBAL"], opcode.opmap["DELETE_GLOBAL"]))
_STORED = _GLOBALS | {_STORE_NAME, opcode.opmap["DELETE_NAME"]}
_NO_CONSTANT = object()


class Import:
    """One import of a file: a reload makes another spec, an import after a removal another module.

    Equal are those that are the same; specs call themselves equal when they only look alike.
    """

    __slots__ = ("contents", "module", "name", "spec")

    def __init__(self, name: str, module: ModuleType) -> None:
        self.name, self.module = name, module
        # Lazy modules load themselves when asked otherwise.
        self.contents: dict[str, Any] = object.__getattribute__(module, "__dict__")
        self.spec = self.contents.get("__spec__")

    def is_over(self) -> bool:
        """Tell whether something else is loaded under this name now."""
        return sys.modules.get(self.name) is not self.module or self.contents.get("__spec__") is not self.spec


class Imports:
    """The modules of a project that this process has imported.

    Parameters
    ----------
    border
        How the paths of its files begin.
    named
        How those of further modules begin, wherever they lie.
    """

    def __init__(self, border: tuple[str, ...], named: tuple[str, ...] = ()) -> None:
        self._border, self._named = border, named
        self._seen: set[str] = set()
        self._count = -1  # of modules, when it was looked at them last
        self._all: list[tuple[str, Any, dict[str, Any], Any]] = []
        self.by_path: dict[str, list[Import]] = {}  # absolute path, as the modules have it

    def is_current(self) -> bool:
        """Tell whether nothing was imported or reloaded since the last `update`; costs microseconds."""
        if len(sys.modules) != self._count:
            return False
        there = sys.modules.get
        return all(
            there(name) is module and spec is contents.get("__spec__") for name, module, contents, spec in self._all
        )

    def update(self) -> bool:
        """Look at what was imported since the last time; tell whether there was anything of the project."""
        over = {one.name for imports in self.by_path.values() for one in imports if one.is_over()}
        if over:
            for path, imports in list(self.by_path.items()):
                left = [one for one in imports if one.name not in over]
                self.by_path[path] = left
                if not left:
                    del self.by_path[path]
            self._seen -= over
        changed = bool(over)
        names = set(sys.modules)
        self._seen &= names
        self._count = len(names)
        for name in names - self._seen:
            module = sys.modules.get(name)
            found = _file_of(module)
            if module is not None and found is not None and self._is_inside(found):
                self.by_path.setdefault(found, []).append(Import(name, module))
                changed = True
            self._seen.add(name)
        self._all = [(one.name, one.module, one.contents, one.spec) for found in self.by_path.values() for one in found]
        return changed

    def _is_inside(self, path: str) -> bool:
        if not path.endswith(".py"):
            return False
        return path.startswith(self._named) or (path.startswith(self._border) and not is_foreign(path))


def _file_of(module: Any) -> str | None:
    try:
        contents = object.__getattribute__(module, "__dict__")  # lazy modules load themselves when asked otherwise
        path = contents.get("__file__")
        if not isinstance(path, str) or str(contents.get("__name__")).startswith(PREFIX):
            return None
    except AttributeError:
        return None
    return path if os.path.isabs(path) else os.path.abspath(path)


def is_older(changed: int) -> bool:
    """Tell whether a file was last changed (ns since the epoch) before this process could import anything."""
    return changed / 1e9 < _started() - _TOLERANCE


@functools.cache
def _started() -> float:
    """Give the start of this process in seconds since the epoch; 0 when it is not known."""
    try:
        started = process.started(os.getpid())
    except ProcessLookupError:
        started = None
    if started is None:
        return 0.0
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + started if sys.platform == "linux" else started


def runs(one: Import, path: str, data: bytes, changed: int) -> bool:
    """Tell whether a module runs this source: its functions, classes and plain constants are compared.

    Parameters
    ----------
    one
        The module.
    path
        Its file.
    data
        The source.
    changed
        When the file was changed, in ns since the epoch, if `data` is what is in it; else 0.
    """
    contents = one.contents
    if one.name != "__main__" and type(getattr(one.spec, "loader", None)).__name__ != "SourceFileLoader":
        return True  # rewritten while it was imported (by pytest, say), so its code can't be compared
    code = _compiled(path, data, changed) or _compile(path, data)
    if code is None:
        return False
    running = loaded._running(contents) if one.name == "__main__" else None
    if running is not None:
        return running == code
    return _same_functions(contents, code, path) and all(
        _equal(contents.get(name, value), value) for name, value in _constants(code)
    )


def _same_functions(contents: dict[str, Any], code: CodeType, path: str) -> bool:
    """Compare a module's functions with the source's; plain ones first, for these are many."""
    there = {nested.co_qualname: nested for nested in code.co_consts if isinstance(nested, CodeType)}

    def is_plain(value: Any) -> bool:
        if type(value) is not FunctionType or getattr(value, "__wrapped__", None) is not None:
            return False
        return bool(value.__code__ == there.get(value.__code__.co_qualname))

    others = {name: value for name, value in contents.items() if not is_plain(value)}
    every: dict[str, list[CodeType]] = {}
    for function in loaded._functions(others, path):
        if not every:
            for nested in loaded._nested(code):
                every.setdefault(nested.co_qualname, []).append(nested)
        if function.__code__ not in every.get(function.__code__.co_qualname, ()):
            return False
    return True


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - it is the user's object by now, so it isn't the constant
        return False


def _compile(path: str, data: bytes) -> CodeType | None:
    import warnings

    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(data, path, "exec", dont_inherit=True)
    return None


def _compiled(path: str, data: bytes, changed: int) -> CodeType | None:
    """Read the byte code of a source that Python keeps beside it: ten times as fast as compiling."""
    if not changed or sys.flags.optimize:
        return None
    try:
        with open(importlib.util.cache_from_source(path), "rb") as stream:
            if os.fstat(stream.fileno()).st_mtime_ns < changed:  # it tells seconds apart only, so look which came first
                return None
            kept = stream.read()
        expected = importlib.util.MAGIC_NUMBER + b"\0\0\0\0"
        expected += (changed // 10**9 & 0xFFFFFFFF).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(
            4, "little"
        )
        if kept[:_HEADER] != expected:
            return None
        code = marshal.loads(memoryview(kept)[_HEADER:])  # noqa: S302 - what Python itself would run
    except (OSError, NotImplementedError, EOFError, ValueError, TypeError):
        return None
    return code if isinstance(code, CodeType) else None


def _constants(code: CodeType) -> Iterator[tuple[str, Any]]:
    """Give the names that a module's code binds once, at its top level, to a constant."""
    bound: dict[str, int] = {}
    found: dict[str, Any] = {}
    for operation, name, value in _stores(code):
        bound[name] = bound.get(name, 0) + 1
        if operation == _STORE_NAME and value is not _NO_CONSTANT:
            found[name] = value
    for nested in loaded._nested(code):
        if not found.keys().isdisjoint(nested.co_names) and not _GLOBALS.isdisjoint(nested.co_code[::2]):
            for operation, name, _ in _stores(nested):
                if operation in _GLOBALS:
                    bound[name] = bound.get(name, 0) + 1
    yield from ((name, value) for name, value in found.items() if bound[name] == 1 and not name.startswith("__"))


def _stores(code: CodeType) -> Iterator[tuple[int, str, Any]]:
    """Give each instruction that binds a name, and the constant that it is bound to.

    `dis` does this as well, in ten times the time.
    """
    more = 0
    before: Any = _NO_CONSTANT
    steps = code.co_code
    for at in range(0, len(steps), 2):
        operation, number = steps[at], steps[at + 1] | more
        more = number << 8 if operation == _EXTENDED else 0
        if operation in _STORED:
            yield operation, code.co_names[number], before
        if operation == _LOAD_CONST:
            before = code.co_consts[number]
        elif operation == _LOAD_SMALL_INT:
            before = number
        elif operation != _EXTENDED:
            before = _NO_CONSTANT
