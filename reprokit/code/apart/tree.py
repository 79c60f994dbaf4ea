"""A source tree that is imported apart.

Each module of a tree has a private name, ``_reprokit_<digest>.<its own name>``, and `__builtins__` of the tree, whose
``__import__`` sends imports of the tree's own top-level names back into the tree, whenever they happen.  Nothing that
is imported already is touched, and nothing is taken out of `sys.modules`.

The import system is the reference: https://docs.python.org/3/reference/import.html.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib._bootstrap
import os
import sys
import threading
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.code.apart import finder, locate, stand_ins
from reprokit.code.apart.loading import spec_for
from reprokit.code.apart.stamps import Stamp
from reprokit.code.foreign import is_foreign_name
from reprokit.errors import ImportApartError, NotInTreeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reprokit.model.records import SnapshotInfo

_REMEDY = (
    "code outside of a tree can't see inside it: pass it the module or class itself, or put that code into the tree"
)
_import = builtins.__import__


class Tree:
    """A source tree whose modules are imported apart.

    Parameters
    ----------
    prefix
        The private name of its root module.
    folder
        Where its files lie.
    roots
        Absolute folders where its top-level modules are looked for, in this order.
    label
        What messages call it.
    known
        The files as they are now; a module whose file has another stamp later is refused.
    package
        The tree's only top-level name, when the folder itself is a package.
    """

    def __init__(
        self,
        prefix: str,
        folder: str,
        roots: Sequence[str],
        label: str,
        known: Mapping[str, Stamp],
        package: str | None = None,
    ) -> None:
        self.prefix = prefix
        self.folder = folder
        self.roots = tuple(roots)
        self.label = label
        self.package = package
        self.pinned: dict[str, bytes] = {}  # sources that were replaced on disk since
        self.commit: str | None = None  # as in artifact names, where it is known
        self.snapshot: SnapshotInfo | None = None  # what a vault keeps of it
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self.import_}
        self._known = known
        self._own: dict[str, bool] = {}
        self._seen_path: list[str] = []
        self._seen_outside: set[str] = set()
        self._loading: int | None = None  # the thread that does
        self._locator = locate.Locator()
        self._stand_ins = stand_ins.StandIns(self)

    def __repr__(self) -> str:
        return f"<tree {self.label}>"

    # --- names -------------------------------------------------------------------------------------------------------

    def private(self, name: str) -> str:
        """Give the private name of a module that the tree calls `name`; other names stay as they are."""
        top, dot, rest = name.partition(".")
        if not self.owns(top):
            return name
        return f"{self.prefix}{dot}{rest}" if self.package else f"{self.prefix}.{name}"

    def plain(self, name: str) -> str:
        """Give the name that the tree itself has for a module."""
        if self.package and (name == self.prefix or name.startswith(f"{self.prefix}.")):
            return f"{self.package}{name[len(self.prefix) :]}"
        return name.removeprefix(f"{self.prefix}.")

    def owns(self, top: str) -> bool:
        """Tell whether a top-level name means a module of this tree."""
        try:
            return self._own[top]
        except KeyError:
            return self._own.setdefault(top, self._is_own(top))

    def tops(self) -> list[str]:
        """List the modules right below the root module."""
        names = {entry.partition(".")[0] for root in self.roots for entry in self._locator.listing(root)}
        return sorted(name for name in names if name.isidentifier() and (self.package or self.owns(name)))

    def _is_own(self, top: str) -> bool:
        if self.package:
            return top == self.package
        found = self._locator.look(top, self.roots) if top and top != "__main__" else None
        if (
            found is None or BuiltinImporter.find_spec(top) or FrozenImporter.find_spec(top)
        ):  # these come before folders
            return False
        return found.location is not None or (
            any(locate.has_source(folder) for folder in found.folders) and not is_foreign_name(top)
        )

    # --- finding -----------------------------------------------------------------------------------------------------

    def spec(self, fullname: str, path: Sequence[str] | None = None) -> ModuleSpec | None:
        """Find a module by its private name; raises `ImportApartError` for a compiled extension."""
        parent, _, name = fullname.rpartition(".")
        found = self._locator.look(name, self.roots if parent == self.prefix or path is None else path)
        return spec_for(fullname, found, self) if found is not None else None

    def forget_listings(self) -> None:
        """Look at the folders anew, for ``importlib.invalidate_caches``."""
        self._locator.forget()
        self._own.clear()

    def _look_at_path(self) -> None:
        """Take folders of the tree that its code put on `sys.path` as further roots, as scripts like to do."""
        self._seen_path = list(sys.path)
        for index, entry in enumerate(self._seen_path):
            folder = os.path.realpath(entry)
            if folder.startswith(self.folder + os.sep) and folder not in self.roots and not self.package:
                self.roots = (folder, *self.roots) if index == 0 else (*self.roots, folder)
                self._own.clear()

    def changed(self, path: str) -> bool:
        """Tell whether a file is another one than when the tree was loaded."""
        before = self._known.get(path)
        if before is None:
            return False
        try:
            stat = os.stat(path, follow_symlinks=False)
        except OSError:
            return True
        return Stamp(stat.st_size, stat.st_mtime_ns) != before

    def pin(self) -> None:
        """Keep the sources in memory, for the files are about to be replaced."""
        for path in self._known:
            if path.endswith(".py") and path not in self.pinned and not self.changed(path):
                with open(path, "rb") as stream:
                    self.pinned[path] = stream.read()

    # --- importing ---------------------------------------------------------------------------------------------------

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
        if there is not None and not getattr(getattr(there, "__spec__", None), "_initializing", False):
            return there
        try:
            # As the import statement does it: patient with modules that another thread is loading in a circle.
            if self._loading == threading.get_ident():
                _import(fullname, None, None, ("__name__",), 0)
            else:
                with self._alone():
                    _import(fullname, None, None, ("__name__",), 0)
            return sys.modules[fullname]
        except ModuleNotFoundError as error:
            raise self._translated(error) from None

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
            self._check_level(globals, level)
            try:
                if self._loading == threading.get_ident():
                    return _import(name, globals, locals, fromlist or (), level)
                with self._alone():
                    return _import(name, globals, locals, fromlist or (), level)
            except ModuleNotFoundError as error:
                raise self._translated(error) from None
        top = name.partition(".")[0]
        if top == self.prefix:  # a private name: what `__name__` says
            module = self._load(name)
            return _import(name, globals, locals, fromlist, 0) if fromlist else sys.modules[top]
        if sys.path != self._seen_path:
            self._look_at_path()
        if not self.owns(top):
            return self._import_outside(name, globals, locals, fromlist)
        if is_compiled_lookup(globals, locals, fromlist):
            raise compiled_lookup(name, self)
        private = self.private(name)
        try:
            module = self._load(private)
        except NotInTreeError as error:
            if error.name != name or not self._is_namespace(top):
                raise
            return self._import_outside_portion(name, globals, locals, fromlist, error)
        if not fromlist:
            return sys.modules[self.private(top)]
        return _import(private, globals, locals, fromlist, 0) if hasattr(module, "__path__") else module

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

    def _is_namespace(self, top: str) -> bool:
        found = self._locator.look(top, self.roots)
        return found is not None and found.location is None

    def _check_level(self, globals: Mapping[str, Any] | None, level: int) -> None:  # noqa: A002
        """Refuse what leaves the top-level package: the root module stands where plain Python has nothing."""
        package = (globals or {}).get("__package__") or ""
        if level > 1 and not self.package and package.startswith(f"{self.prefix}.") and package.count(".") < level:
            raise ImportError("attempted relative import beyond top-level package")

    def _translated(self, error: ModuleNotFoundError) -> ModuleNotFoundError:
        missing = error.name or ""
        if isinstance(error, NotInTreeError) or not missing.startswith(f"{self.prefix}."):
            return error
        plain = self.plain(missing)
        origin = getattr(sys.modules.get(plain), "__file__", None) or ""
        compiled = origin.endswith(locate.EXTENSIONS)
        hint = "it is a compiled extension today, and those are no part of a source tree" if compiled else ""
        return NotInTreeError(plain, self.label, hint)

    def _see_new_builtins(self) -> None:
        """Take over what was added to the builtins or patched there since."""
        for name, value in vars(builtins).items():
            if name != "__import__" and self.builtins.get(name) is not value:
                self.builtins[name] = value

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one thread load modules of this tree: circular imports of several threads would wait for each other.

        The lock is one of the import system's, which notices when waiting would never end.
        """
        finder.stay_first()
        self._see_new_builtins()
        lock = importlib._bootstrap._get_module_lock(self.prefix)  # type: ignore[attr-defined]
        try:
            lock.acquire()
        except RuntimeError:  # a deadlock, were it to wait: the locks of the single modules must do
            yield
            return
        self._loading = threading.get_ident()
        try:
            yield
        finally:
            self._loading = None
            lock.release()


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
