"""What code of a tree gets for standard modules that look modules up by name: the same, with the tree's names known."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reprokit.code.apart.tree import Tree

_MODULES = frozenset(
    (
        "builtins",
        "importlib",
        "importlib.metadata",
        "importlib.resources",
        "importlib.util",
        "logging",
        "logging.config",
        "pickle",
        "pkgutil",
        "runpy",
        "sys",
    )
)

_CONSTANT = (
    "byteorder", "exc_info", "float_info", "getrefcount", "getsizeof", "hexversion", "implementation", "intern", "maxsize",
    "maxunicode", "platform", "version", "version_info", "_getframe",
)  # fmt: skip


class StandIns:
    """The stand-ins of one tree, each made when first imported."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._made: dict[str, ModuleType] = {}

    def instead_of(self, module: Any, name: str) -> Any:
        """Give the stand-in for a module where there is one, else the module."""
        if name not in _MODULES:
            return module
        if name not in self._made:
            from reprokit.code.apart import lookups

            made = _Builtins(name, module.__doc__) if name == "builtins" else StandIn(name, module.__doc__)
            vars(made).update({key: value for key, value in vars(module).items() if key.startswith("__")})
            if name == "sys":  # asked for in loops, and never changed
                vars(made).update({key: getattr(module, key) for key in _CONSTANT if hasattr(module, key)})
            vars(made).update(lookups.FUNCTIONS[name](self._tree))
            vars(made).update(__reprokit_real__=(module, self), __reprokit_tree__=self._tree)
            self._made[name] = made
        return self._made[name]


class StandIn(ModuleType):
    """Everything that the real module has, but for some of its contents; without a real one, a module like any other."""

    def __getattr__(self, name: str) -> Any:
        behind = vars(self).get("__reprokit_real__")
        if behind is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(behind[0], name)
        return behind[1].instead_of(value, value.__name__) if isinstance(value, ModuleType) else value

    def __setattr__(self, name: str, value: Any) -> None:
        behind = vars(self).get("__reprokit_real__")
        if behind is None or name in vars(self):
            super().__setattr__(name, value)
        else:
            setattr(behind[0], name, value)

    def __delattr__(self, name: str) -> None:
        behind = vars(self).get("__reprokit_real__")
        if behind is None or name in vars(self):
            super().__delattr__(name)
        else:
            delattr(behind[0], name)

    def __dir__(self) -> list[str]:
        behind = vars(self).get("__reprokit_real__")
        return dir(behind[0]) if behind is not None else sorted(vars(self))


class _Builtins(StandIn):
    """The builtins of a tree: what its code changes here, its code alone sees."""

    def __setattr__(self, name: str, value: Any) -> None:
        tree: Tree = vars(self)["__reprokit_tree__"]
        tree.own_builtins.add(name)
        vars(self)[name] = tree.builtins[name] = value

    def __delattr__(self, name: str) -> None:
        tree: Tree = vars(self)["__reprokit_tree__"]
        super().__delattr__(name)
        tree.own_builtins.add(name)
        tree.builtins.pop(name, None)
