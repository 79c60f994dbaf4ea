"""A source tree that is imported apart.

Each module of a tree has a private name, ``_reprokit_<digest>.<its own name>``, and `__builtins__` of the tree, whose
``__import__`` sends imports of the tree's own top-level names back into the tree, whenever they happen.  Nothing that
is imported already is touched, and nothing is taken out of `sys.modules`.

The import system is the reference: https://docs.python.org/3/reference/import.html.
"""

from __future__ import annotations

import builtins
import operator
import sys
from importlib.machinery import ModuleSpec
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.code.apart import finder, locate, stand_ins
from reprokit.code.apart.layout import Layout
from reprokit.code.apart.loading import spec_for
from reprokit.errors import ImportApartError, NotInTreeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reprokit.code.apart.stamps import Stamp
    from reprokit.model.records import SnapshotInfo

_REMEDY = (
    "code outside of a tree can't see inside it: pass it the module or class itself, or put that code into the tree"
)
_import = builtins.__import__


class Tree(Layout):
    """A source tree whose modules are imported apart."""

    def __init__(
        self,
        prefix: str,
        folder: str,
        roots: Sequence[str],
        label: str,
        known: Mapping[str, Stamp],
        package: str | None = None,
        tops: Iterable[str] = (),
        left: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(prefix, folder, roots, known, package, tops, left)
        self.label = label  # what messages call it
        self.commit: str | None = None  # as in artifact names, where it is known
        self.snapshot: SnapshotInfo | None = None  # what a vault keeps of it
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self.import_}
        self.own_builtins = {"__import__"}  # those that are not the interpreter's
        self._builtins_seen = list(vars(builtins).values())
        self._seen_outside: set[str] = set()
        self._stand_ins = stand_ins.StandIns(self)

    def __repr__(self) -> str:
        return f"<tree {self.label}>"

    def spec(self, fullname: str, path: Sequence[str] | None = None) -> ModuleSpec | None:
        """Find a module by its private name; raises `ImportApartError` for a compiled extension, `NotInTreeError` for what was left out."""
        parent, _, name = fullname.rpartition(".")
        found = self.locator.look(name, self.roots if parent == self.prefix or path is None else path)
        if found is not None:
            return spec_for(fullname, found, self)
        if self.left and self.plain(fullname) in self.left:
            raise NotInTreeError(self.plain(fullname), self.label, self.left[self.plain(fullname)])
        return None

    def module(self, name: str) -> ModuleType:
        """Import a module by the name that the tree has for it.

        Raises
        ------
        NotInTreeError
            When there is none.
        """
        __tracebackhide__ = True
        return self._load(self.private(name))

    def submodule(self, name: str) -> ModuleType:
        """Import a module right below the root module."""
        return self._load(f"{self.prefix}.{name}")

    def _load(self, fullname: str) -> ModuleType:
        __tracebackhide__ = True
        there = sys.modules.get(fullname)
        if there is not None and not _is_loading(there):
            return there
        finder.stay_first()
        self._see_new_builtins()
        try:
            # Packages first: no thread holds the lock of a module while it waits for that of its package.
            end = fullname.find(".", len(self.prefix) + 1)
            while end > 0:
                if fullname[:end] not in sys.modules:
                    _patiently(fullname[:end], ("__name__",))
                end = fullname.find(".", end + 1)
            _import(
                fullname, None, None, ("__name__",), 0
            )  # not through `_patiently`: each frame shortens chains of imports
            return sys.modules[fullname]
        except ModuleNotFoundError as error:
            raise self.translated(error) from None
        except RuntimeError as error:
            if not _is_deadlock(error) or fullname not in sys.modules:
                raise
            return sys.modules[fullname]

    def import_(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the names that __import__ has
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """Stand where ``__import__`` stands for code of this tree."""
        __tracebackhide__ = True
        if level:
            return self._import_relative(name, globals, locals, fromlist, level)
        top = name.partition(".")[0] if isinstance(name, str) else ""
        if top == self.prefix:  # a private name: what `__name__` says
            module = self._load(name)
            return self._with(module, name, fromlist) if fromlist else sys.modules[top]
        if sys.path != self.seen_path:
            self.look_at_path()
        if not self.owns(top):
            return self._import_outside(name, globals, locals, fromlist)
        if is_compiled_lookup(globals, locals, fromlist):
            raise compiled_lookup(name, self)
        private = self.private(name)
        try:
            module = self._load(private)
        except NotInTreeError as error:
            if error.name != name or not self.is_namespace(top):
                raise
            return self._import_outside_portion(name, globals, locals, fromlist, error)
        if not fromlist:
            return sys.modules[self.private(top)]
        return self._with(module, private, fromlist)

    def _import_relative(self, name: str, globals: Any, locals: Any, fromlist: Any, level: int) -> Any:  # noqa: A002
        __tracebackhide__ = True
        package = _package_of(globals or {})
        found = self.private(self._absolute(name, package, level)) if package and level > 0 else ""
        if not found.startswith(self.prefix):  # no package, or one that was set by hand: Python says what is wrong
            return _import(name, globals, locals, fromlist or (), level)
        module = self._load(found)
        if fromlist:
            return self._with(module, found, fromlist)
        rest = name.partition(".")[2]
        return sys.modules[found.removesuffix(f".{rest}") if rest else found]

    def _with(self, module: Any, fullname: str, fromlist: Sequence[str]) -> Any:
        """Import the submodules that a ``from`` names; those that another thread is busy with are taken as they are."""
        __tracebackhide__ = True
        if not hasattr(module, "__path__"):
            return module
        try:
            return _patiently(fullname, fromlist)
        except ModuleNotFoundError as error:
            raise self.translated(error) from None

    def _import_outside(self, name: str, globals: Any, locals: Any, fromlist: Any) -> Any:  # noqa: A002
        __tracebackhide__ = True
        asked = name if fromlist else name.partition(".")[0]
        try:
            module = _import(name, globals, locals, fromlist or (), 0)
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if missing == name or not self.owns(missing.partition(".")[0]):
                raise
            raise ImportApartError(
                name, f"imports {missing!r}, which is there only as a part of {self.label}; {_REMEDY}"
            ) from error
        if name not in self._seen_outside:
            self._seen_outside.add(name)
            if name.partition(".")[0] not in sys.stdlib_module_names:
                self._warn_of_mixing(name)
        return self._stand_ins.instead_of(module, asked)

    def _warn_of_mixing(self, name: str) -> None:
        """Look whether an outside module holds what looks like a part of the tree, and is another version of it."""
        contents = vars(sys.modules[name]) if name in sys.modules else {}
        homes = {
            value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            for value in list(contents.values())
            if isinstance(value, (ModuleType, FunctionType, type))
        }
        strayed = sorted({top for home in homes if isinstance(home, str) and self.owns(top := home.partition(".")[0])})
        if strayed and not self.owns(name.partition(".")[0]):
            import warnings

            from reprokit.errors import ReprokitWarning

            warnings.warn(
                f"{name}: imports {', '.join(strayed)} by plain name and got what is installed or on sys.path, not the "
                f"version of {self.label}; {_REMEDY}",
                ReprokitWarning,
                stacklevel=4,
            )

    def _import_outside_portion(
        self,
        name: str,
        globals: Any,  # noqa: A002 - the names that __import__ has
        locals: Any,  # noqa: A002
        fromlist: Any,
        missing: NotInTreeError,
    ) -> Any:
        """Import what another installation adds to a namespace package of the tree."""
        __tracebackhide__ = True
        try:
            found = _import(name, globals, locals, fromlist or (), 0)
        except ModuleNotFoundError:
            raise missing from None
        if fromlist:
            return found
        top, _, rest = name.partition(".")
        own = self.module(top)
        step = rest.partition(".")[0]
        if not hasattr(own, step):
            setattr(own, step, getattr(found, step))
        return own

    def _absolute(self, name: str, package: str, level: int) -> str:
        """Resolve a relative import; one that leaves the top-level package is refused, as in plain Python."""
        parts = package.rsplit(".", level - 1)
        if len(parts) < level or (level > 1 and parts[0] == self.prefix and not self.package):
            raise ImportError("attempted relative import beyond top-level package")
        return f"{parts[0]}.{name}" if name else parts[0]

    def translated(self, error: ModuleNotFoundError) -> ModuleNotFoundError:
        """Give the error that names the module as the tree does."""
        missing = error.name or ""
        if isinstance(error, NotInTreeError) or not missing.startswith(f"{self.prefix}."):
            return error
        plain = self.plain(missing)
        origin = getattr(sys.modules.get(plain), "__file__", None) or ""
        compiled = origin.endswith(locate.EXTENSIONS)
        hint = "it is a compiled extension today, and those are no part of a source tree" if compiled else ""
        return NotInTreeError(plain, self.label, hint)

    def _see_new_builtins(self) -> None:
        """Take over what was added to the builtins, or patched there, since; what the tree's own code set stays."""
        now = vars(builtins)
        if len(now) == len(self._builtins_seen) and all(map(operator.is_, now.values(), self._builtins_seen)):
            return
        self._builtins_seen = list(now.values())
        self.builtins.update({name: value for name, value in now.items() if name not in self.own_builtins})


def _patiently(name: str, fromlist: Sequence[str]) -> Any:
    """Import as the import statement does, but take a module as far as it is when waiting for it would never end.

    Two threads that import a circle from two sides wait for each other.  The import system notices, and gives one of them
    an error; what it waited for is in `sys.modules` then, as in a circle within one thread.
    """
    __tracebackhide__ = True
    try:
        return _import(name, None, None, fromlist, 0)
    except RuntimeError as error:
        if not _is_deadlock(error) or name not in sys.modules:
            raise
        return sys.modules[name]


def _is_deadlock(error: RuntimeError) -> bool:
    return type(error).__name__ == "_DeadlockError"


def _is_loading(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _package_of(namespace: Mapping[str, Any]) -> str:
    package = namespace.get("__package__")
    if package is not None:
        return str(package)
    name = str(namespace.get("__name__", ""))
    return name if "__path__" in namespace else name.rpartition(".")[0]


def is_compiled_lookup(globals: Any, locals: Any, fromlist: Any) -> bool:  # noqa: A002 - the names of __import__
    """Tell whether compiled code asks, through ``PyImport_Import``: it alone passes a new list, and one namespace twice."""
    return type(fromlist) is list and not fromlist and locals is globals


def compiled_lookup(name: str, tree: Tree) -> ImportApartError:
    """Describe a lookup that can't be answered: compiled code takes the module from `sys.modules`, by its plain name."""
    return ImportApartError(
        name,
        f"a pickle (or other compiled code) looks {name!r} up by its plain name, which can't be given the version of "
        f"{tree.label}",
    )
