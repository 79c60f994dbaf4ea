"""Modules of the project, loaded or not, told apart from those that are installed."""

from __future__ import annotations

import os
import re
import sys
from functools import cached_property
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.code import PREFIX
from reprokit.code.reach import definitions
from reprokit.code.reach.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from reprokit.code.reach.definitions import Text
    from reprokit.code.reach.facts import Binding
    from reprokit.code.reach.scopes import Chain, Import

OWN = "reprokit"
_APART = re.compile(
    rf"{PREFIX}[0-9a-f]+(?:\.|\Z)"
)  # what the loader puts before the names of a tree that is imported apart
_MAIN = ("__main__", "__mp_main__")
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_MARKS = ("pyvenv.cfg", "conda-meta")  # what lies in the top folder of an environment
_STANDARD = os.path.dirname(os.path.realpath(os.__file__))
_DEFINED = ("function", "class")
_KEPT = 5000

_texts: dict[Any, tuple[Any, Text | None]] = {}


class Module:
    """A module as the closure sees it: its names, its source, and where it belongs."""

    def __init__(
        self, name: str, space: dict[str, Any] | None, local: bool, spec: Any = None, cache: Path | None = None
    ) -> None:
        self.name = name
        self.space = space  # None while it is not loaded
        self.local = local
        self.cache = cache
        self.is_own = name.partition(".")[0] == OWN
        self.is_counted = False  # what importing it runs
        self.looked: dict[str, Any] = {}  # names that were looked up in it, and what was found
        self.seen: dict[str, str] = {}  # what the names that its functions use lead to
        self._spec = spec

    @cached_property
    def shown(self) -> str:
        """The name that records show: without a private prefix, and a script by the name of its file."""
        if self.name in _MAIN and self.space is not None:
            spec = self.space.get("__spec__")
            file = self.space.get("__file__")
            if spec is not None and getattr(spec, "name", None) not in {None, *_MAIN}:
                return str(spec.name)
            return Path(file).stem if isinstance(file, str) else "__main__"
        return _APART.sub("", self.name)

    @cached_property
    def prefix(self) -> str:
        """The private prefix of a tree that is imported apart."""
        match = _APART.match(self.name)
        return match[0] if match else ""

    @property
    def is_main(self) -> bool:
        """Whether it is the script, notebook or prompt itself."""
        return self.name in _MAIN

    @cached_property
    def text(self) -> Text | None:
        """Its source; that of installed packages is not looked at."""
        if not self.local:
            return None
        if self.space is not None:
            spec = self.space.get("__spec__")
            key: Any = (self.name, self.space.get("__file__"))
            found = remembered(key, spec, lambda: definitions.from_module(self.space or {}))
        else:
            origin = getattr(self._spec, "origin", None)
            if not isinstance(origin, str):
                return None
            found = remembered((None, origin), stamp_of(origin), lambda: definitions.from_file(origin))
        return self.settled(found)

    def settled(self, text: Text | None) -> Text | None:
        """Make sure of the facts of a text that belongs to this module."""
        return text.settle(self.ours, self.cache) if text is not None else None

    @cached_property
    def file(self) -> str | None:
        """Its file."""
        found = self.space.get("__file__") if self.space is not None else getattr(self._spec, "origin", None)
        return found if isinstance(found, str) else None

    @property
    def search(self) -> Iterable[str] | None:
        """Where its submodules lie; None when it is no package."""
        if self.space is not None:
            return self.space.get("__path__")
        found = getattr(self._spec, "submodule_search_locations", None)
        return list(found) if found is not None else None

    @property
    def package(self) -> str:
        """The package that its relative imports start from."""
        if self.space is not None and isinstance(self.space.get("__package__"), str):
            return str(self.space["__package__"])
        return self.name if self.search is not None else self.name.rpartition(".")[0]

    def absolute(self, level: int, name: str) -> str:
        """Give the absolute name of what an import statement here names."""
        if not level:
            return name
        base = self.package
        for _ in range(level - 1):
            base = base.rpartition(".")[0]
        return f"{base}.{name}" if base and name else base or name

    def bindings(self, name: str) -> tuple[Binding, ...]:
        """Statements that bind a name here."""
        return self.text.bindings(name) if self.text is not None else ()

    def defines(self, name: str) -> bool:
        """Tell whether a definition alone binds a name here."""
        found = self.text.facts.names.get(name) if self.text is not None else None
        return found is not None and found.kind in _DEFINED

    def ours(self, chain: Chain, bindings: Callable[[str], Sequence[Binding]]) -> bool:
        """Tell whether a name that a decorator goes by in this module is this library's."""
        if self.space is not None:
            value = self.space.get(chain[0], MISSING)
            for part in chain[1:]:
                if not is_module(value) or value.__name__.partition(".")[0] == OWN:
                    break
                value = vars(value).get(part, MISSING)
            return value is not MISSING and is_own(value)
        origins = [one.origin for one in bindings(chain[0])]
        return any(o is not None and not o.level and o.module.partition(".")[0] == OWN for o in origins)


class Modules:
    """Finds modules, without importing any, and decides which belong to the project."""

    def __init__(self, root: Path, local: Iterable[str], cache: Path | None = None) -> None:
        self.roots = tuple(dict.fromkeys((os.path.abspath(root), os.path.realpath(root))))
        self.named = frozenset(local)
        self.cache = cache
        self.looked: dict[int, tuple[dict[Any, Any], dict[str, Any]]] = {}  # what was looked up where, and found
        self.files: dict[str, Any] = {}  # files of modules that are not loaded
        self._spaces: dict[int, Module] = {}
        self._found: dict[str, Module | None] = {}
        self._local: dict[str, bool] = {}

    def of_space(self, space: dict[str, Any]) -> Module:
        """Give the module that a namespace belongs to."""
        found = self._spaces.get(id(space))
        if found is None:
            name = space.get("__name__")
            name = name if isinstance(name, str) else "?"
            found = self._spaces[id(space)] = Module(
                name, space, self.is_local(name, space.get("__file__")), cache=self.cache
            )
            apart = sys.modules.get(found.prefix.rstrip(".")) if found.prefix else None
            if isinstance(file := getattr(apart, "__file__", None), str):  # where that tree lies
                self.roots = tuple(dict.fromkeys((*self.roots, os.path.dirname(file))))
            found.looked = self.looked_up(space)
            found.looked["__spec__"] = space.get("__spec__", MISSING)  # a reload makes a new one
        return found

    def looked_up(self, space: dict[Any, Any]) -> dict[str, Any]:
        """Give the names that were looked up in a namespace, and what was found; to be added to."""
        return self.looked.setdefault(id(space), (space, {}))[1]

    def of_function(self, function: FunctionType) -> tuple[Module, bool, Text | None]:
        """Give a function's module, whether the function is local, and the text it was compiled from."""
        module = self.of_space(function.__globals__)
        filename = function.__code__.co_filename
        if module.is_own:
            return module, False, None
        if filename == module.file:
            return module, module.local, module.text
        if os.path.isabs(filename) and os.path.exists(filename):
            local = self.is_local(module.name if module.local else "?", filename)
            if not local:
                return module, local, None
            text = remembered((None, filename), stamp_of(filename), lambda: definitions.from_file(filename))
            return module, local, module.settled(text)
        if not module.local:  # what was run in a namespace of its own is nobody's but the user's
            return module, module.file is None and module.name not in sys.modules, None
        own = module.text
        if own is not None and own.filename == filename:
            return module, True, own
        return module, True, text_of_cell(module, function.__code__)

    def is_local(self, name: str, file: Any) -> bool:
        """Tell whether a module belongs to the project."""
        bare = _APART.sub("", name)
        top = bare.partition(".")[0]
        if top == OWN:
            return False
        if bare != name or top in self.named:
            return True
        if not isinstance(file, str):
            return name in _MAIN
        found = self._local.get(file)
        if found is None:
            folder = os.path.dirname(file) + os.sep
            if folder not in self._local:
                self._local[folder] = self._inside(os.path.abspath(file))
            found = self._local[file] = self._local[folder] or self._inside(os.path.realpath(file))
        return found

    def _inside(self, path: str) -> bool:
        if path.startswith(_STANDARD + os.sep):
            return False
        for root in self.roots:
            if not path.startswith(root.rstrip(os.sep) + os.sep):
                continue
            folders = path[len(root) :].strip(os.sep).split(os.sep)[:-1]
            if _INSTALLED.intersection(folders):
                return False
            folder = root
            for part in folders:
                folder = os.path.join(folder, part)
                if folder not in self._local:
                    self._local[folder] = not any(os.path.exists(os.path.join(folder, mark)) for mark in _MARKS)
                if not self._local[folder]:
                    return False
            return True
        return False

    def find(self, name: str, importer: Module) -> Module | None:
        """Find a module by its absolute name, as an import statement in `importer` would."""
        if importer.prefix and not name.startswith(importer.prefix):
            found = self._find(importer.prefix + name)
            if found is not None:
                return found
        return self._find(name)

    def imported(self, importer: Module, statement: Import) -> Module | None:
        """Find the module that an import statement names."""
        return self.find(importer.absolute(statement.level, statement.module), importer)

    def _find(self, name: str) -> Module | None:
        loaded = sys.modules.get(name, MISSING)
        if name not in self._found:
            self.looked_up(sys.modules)[name] = loaded
            if isinstance(loaded, ModuleType):
                self._found[name] = self.of_space(vars(loaded))
            else:
                self._found[name] = self._unloaded(name)
        return self._found[name]

    def _unloaded(self, name: str) -> Module | None:
        parent, _, tail = name.rpartition(".")
        path: Any = None
        if parent:
            above = self._find(parent)
            if above is None or not tail:
                return None
            if not above.local:
                return Module(name, None, False)
            path = above.search
            if path is None:
                return None
        elif name in sys.stdlib_module_names:
            return Module(name, None, False)
        for finder in tuple(sys.meta_path):
            try:
                spec = finder.find_spec(name, path)
            except Exception:  # noqa: BLE001, S112  # someone else's finder
                continue
            if spec is not None:
                origin = spec.origin if isinstance(spec.origin, str) else None
                folders = spec.submodule_search_locations
                if not spec.has_location and folders:  # a namespace package
                    origin = os.path.join(next(iter(folders), ""), "__init__.py")
                local = self.is_local(name, origin)
                if local and origin:
                    self.files[origin] = stamp_of(origin)
                return Module(name, None, local, spec, self.cache)
        return None


def is_module(value: Any) -> bool:
    """Tell whether an object is a module; loaders make some of types of their own."""
    return issubclass(type(value), ModuleType)


def is_own(value: Any) -> bool:
    """Tell whether an object is this library's."""
    kind = type(value)
    if issubclass(kind, ModuleType):
        name: Any = value.__name__
    elif kind is FunctionType:
        name = value.__globals__.get("__name__")
    elif issubclass(kind, type):
        name = value.__module__
    else:
        name = kind.__module__
    return isinstance(name, str) and name.partition(".")[0] == OWN


def unwrapped(value: Any) -> Any:
    """Take this library's wrappers off a function."""
    while type(value) is not FunctionType and not is_module(value) and is_own(value):
        inner = None if issubclass(type(value), type) else getattr(value, "__wrapped__", None)
        if inner is None:
            break
        value = inner
    return value


def stamp_of(filename: str) -> tuple[int, int] | None:
    """What tells one state of a file from another."""
    try:
        stat = os.stat(filename)
    except (OSError, ValueError):
        return None
    return stat.st_mtime_ns, stat.st_size


def text_of_cell(module: Module, code: CodeType) -> Text | None:
    """Give the text of a notebook cell or of something typed, which must be what the code was compiled from."""
    filename = code.co_filename
    found = module.settled(remembered(("cell", filename), None, lambda: definitions.from_cell(filename)))
    if found is None or found.definition_of(code) is None:  # the name is used again for other text
        _texts.pop(("cell", filename), None)
        found = module.settled(remembered(("cell", filename), None, lambda: definitions.from_cell(filename)))
    return found


def remembered(key: Any, stamp: Any, read: Any) -> Text | None:
    """Give the text of a key, read again when its stamp is another."""
    known = _texts.get(key)
    # Stamps of files are compared; the spec of a module must be the same object, for a reload makes an equal one.
    if known is None or (known[0] is not stamp and (type(stamp) is not tuple or known[0] != stamp)):
        if len(_texts) > _KEPT:
            _texts.clear()
        known = _texts[key] = (stamp, read())
    return known[1]
