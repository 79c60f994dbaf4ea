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
        "pickle",
        "pkgutil",
        "runpy",
        "sys",
    )
)


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

            kind = _Builtins if name == "builtins" else StandIn
            self._made[name] = kind(module, lookups.FUNCTIONS[name](self._tree), self)
        return self._made[name]


class StandIn(ModuleType):
    """Everything that the real module has, but for some of its contents."""

    def __init__(self, real: ModuleType, contents: dict[str, Any], others: StandIns) -> None:
        super().__init__(real.__name__, real.__doc__)
        vars(self).update({name: value for name, value in vars(real).items() if name.startswith("__")})
        vars(self).update(contents)
        vars(self)["__reprokit_real__"] = (real, others)
        vars(self)["__reprokit_contents__"] = contents

    def __getattr__(self, name: str) -> Any:
        real, others = vars(self)["__reprokit_real__"]
        value = getattr(real, name)
        return others.instead_of(value, value.__name__) if isinstance(value, ModuleType) else value

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            super().__setattr__(name, value)
        else:
            setattr(vars(self)["__reprokit_real__"][0], name, value)

    def __delattr__(self, name: str) -> None:
        if name in vars(self):
            super().__delattr__(name)
        else:
            delattr(vars(self)["__reprokit_real__"][0], name)

    def __dir__(self) -> list[str]:
        return dir(vars(self)["__reprokit_real__"][0])


class _Builtins(StandIn):
    """The builtins of a tree: what its code changes here, its code sees."""

    def __setattr__(self, name: str, value: Any) -> None:
        vars(self)[name] = vars(self)["__reprokit_contents__"][name] = value

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        vars(self)["__reprokit_contents__"].pop(name, None)
