"""What a sender takes for local: which modules, and the bundle that holds them as this process runs them."""

from __future__ import annotations

import operator
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.code import PREFIX
from reprokit.code.bundles import current, store
from reprokit.code.foreign import is_foreign

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.code.bundles.bundle import Bundle

FOREIGN, MAIN, LOCAL = "", "main", "local"  # whose a module is; any other answer is the digest of its bundle
_MAIN_NAMES = ("__main__", "__mp_main__")


_spec = operator.itemgetter("__spec__")


class Local:
    """The local packages of one project, or of none: then only what came in bundles is told apart.

    Parameters
    ----------
    root
        The project.
    local
        Modules from outside of it that belong to it as well.
    **options
        As `reprokit.code.bundles.current.bundle` takes them.
    """

    def __init__(self, root: Path | None, local: tuple[str, ...], **options: Any) -> None:
        self.root = root
        self._local = local
        self._options = options
        self._whose: dict[str, str] = {}
        self._made: Bundle | None = None
        self._loaded: _Loaded | None = None

    def whose(self, name: object) -> str:
        """Tell whose a module is, by its name."""
        try:
            return self._whose[name]  # type: ignore[index]
        except (KeyError, TypeError):
            return self._find(name) if isinstance(name, str) else FOREIGN

    def _find(self, name: str) -> str:
        if name in _MAIN_NAMES:
            found = MAIN
        elif name.startswith(PREFIX):
            found = store.digest_of(name) or FOREIGN
        elif self.root is None or name.partition(".")[0] == "reprokit":
            found = FOREIGN
        elif name not in sys.modules:
            return FOREIGN  # for now
        else:
            found = LOCAL if current.is_local(name, self.root, self._local) else FOREIGN
        self._whose[name] = found
        return found

    def bundle(self) -> Bundle:
        """Give the bundle of what this process runs now."""
        assert self.root is not None
        before = self._loaded
        now = before if before is not None and before.holds() else _Loaded(self)
        sure = before is None or (now is not before and not now.same(before))
        made = current.bundle(self.root, local=self._local, sure=sure, **self._options)
        self._loaded = now  # only now: another thread that asks meanwhile has to be as sure
        if made is not self._made:
            store.add(made.digest, made.data)  # again, should somebody have emptied the temporary folder
            self._made = made
        return made

    def data_of(self, digest: str) -> bytes:
        """Give the archive of a bundle.

        Raises
        ------
        BundleMissingError
            When this process has no such one any more.
        """
        made = self._made
        return made.data if made is not None and made.digest == digest else store.data_of(digest)

    def warnings_of(self, digest: str) -> tuple[str, ...]:
        """Give what the sender of a bundle should know: files that stay behind, edits that don't go along."""
        made = self._made
        return made.warnings if made is not None and made.digest == digest else ()

    def may_own(self, top: str) -> bool:
        """Tell whether a top-level module that code may import is, or could be, one of the project's."""
        if self.root is None or top in sys.stdlib_module_names or top == "reprokit":
            return False
        if top in sys.modules:
            return self.whose(top) == LOCAL
        return top in self._local or self._lies_inside(top)

    def _lies_inside(self, top: str) -> bool:
        inside = [entry for entry in map(os.path.abspath, sys.path) if not is_foreign(entry + os.sep)]
        folders = [entry for entry in inside if entry == str(self.root) or entry.startswith(f"{self.root}{os.sep}")]
        folders += [str(self.root), os.path.join(str(self.root), "src")]
        return any(
            os.path.isfile(f"{base}.py") or os.path.isdir(base) for base in (os.path.join(f, top) for f in folders)
        )


class _Loaded:
    """The local modules that are loaded: another one, or the same again after a reload, may be other code.

    It is never changed, for several threads may ask at once; the one that has seen a change looks at the disk.
    """

    __slots__ = ("_count", "_modules", "_names", "_spaces", "_specs")

    def __init__(self, local: Local) -> None:
        self._count = len(sys.modules)
        self._names: list[str] = []
        self._modules: list[ModuleType] = []
        self._spaces: list[dict[str, Any]] = []
        self._specs: list[Any] = []
        for name, module in list(sys.modules.items()):
            if local.whose(name) == LOCAL and isinstance(module, ModuleType):
                space = object.__getattribute__(module, "__dict__")  # lazy modules load themselves when asked otherwise
                if "__spec__" in space:
                    self._names.append(name)
                    self._modules.append(module)
                    self._spaces.append(space)
                    self._specs.append(space["__spec__"])

    def holds(self) -> bool:
        """Tell whether the modules that are loaded are surely these."""
        try:
            return (
                len(sys.modules) == self._count
                and all(map(operator.is_, map(sys.modules.get, self._names), self._modules))
                and all(map(operator.is_, map(_spec, self._spaces), self._specs))
            )
        except KeyError:
            return False

    def same(self, other: _Loaded) -> bool:
        """Tell whether another look has found the same modules."""
        return (
            self._names == other._names
            and all(map(operator.is_, self._modules, other._modules))
            and all(map(operator.is_, self._specs, other._specs))
        )
