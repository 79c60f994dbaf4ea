"""What is being written: imports and arrays that forms ask for, and the texts of atoms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from reprokit.archive.names import Namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from reprokit.archive.form import Form

_HUGE = 8192  # bits above which an int is written in hexadecimal: linear time, no limit on digits


class Draft:
    """Imports and arrays of one piece of source.

    Parameters
    ----------
    items : collection of str
        Names that items have.
    prefix : str
        How the names of what is shared begin.
    threshold : float
        Arrays with more elements go to data files.
    preset : mapping of str to array
        Arrays that data files hold already, by name.
    options : Options
        What representers have to know.

    Attributes
    ----------
    imports : dict
        From module and name to the private name in the source.
    arrays : dict
        The arrays for data files, by name.
    """

    def __init__(
        self,
        items: Collection[str] = (),
        *,
        prefix: str = "_g",
        threshold: float = math.inf,
        preset: Mapping[str, Any] | None = None,
        scoped: bool = True,
        allow_pickle: bool = False,
        env: Mapping[str, Any] | None = None,
    ) -> None:
        self.names = Namespace(items, prefix)
        self.items = items
        self.threshold = threshold
        self.scoped = scoped
        self.allow_pickle = allow_pickle
        self.env = env or {}
        self.imports: dict[tuple[str, str | None], str] = {}
        self.arrays: dict[str, Any] = dict(preset or {})
        self._array_names = {id(array): name for name, array in self.arrays.items()}
        self._next_array = 0

    def spare(self) -> Draft:
        """Give a draft for a text that is only looked at: the key by which an element of a set is sorted."""
        return Draft(self.items, scoped=False, allow_pickle=self.allow_pickle, env=self.env)

    def use(self, module: str, qualname: str | None) -> str:
        """Give the expression for something importable, ``_OrderedDict`` or ``_Outer.Inner``; None is the module."""
        top, _, rest = (qualname or "").partition(".")
        alias = self.imports.get((module, top or None))
        if alias is None:
            alias = self.names.imported(top or module.rpartition(".")[2])
            self.imports[module, top or None] = alias
        return f"{alias}.{rest}" if rest else alias

    def array_name(self, array: Any) -> str:
        """Put an array in a data file and give its name there."""
        name = self._array_names.get(id(array))
        if name is None:
            while f"array_{self._next_array}" in self.arrays:
                self._next_array += 1
            name = f"array_{self._next_array}"
            self.arrays[name] = array
            self._array_names[id(array)] = name
        return name

    def atom(self, obj: Any) -> str:
        """Give the expression for an atom."""
        write = _ATOMS.get(type(obj))
        return repr(obj) if write is None else write(self, obj)

    def texts(self, form: Form, known: Callable[[Any], str]) -> list[str]:
        """Give the expressions for the children of a form."""
        return [known(child) for child in form.children]


def _int(draft: Draft, obj: int) -> str:
    return repr(obj) if -(1 << 62) < obj < 1 << 62 or obj.bit_length() <= _HUGE else hex(obj)


def _float(draft: Draft, obj: float) -> str:
    if math.isfinite(obj):
        return repr(obj)
    if obj != obj:  # noqa: PLR0124  # not a number, and nothing else
        return draft.use("math", "nan")
    return draft.use("math", "inf") if obj > 0 else f"-{draft.use('math', 'inf')}"


def _complex(draft: Draft, obj: complex) -> str:
    """Write a complex number; the sum of a real and an imaginary part loses the signs of zeros and makes NaN of inf."""
    if obj.real and obj.imag and math.isfinite(obj.real) and math.isfinite(obj.imag):
        return repr(obj)
    return f"{draft.use('builtins', 'complex')}({_float(draft, obj.real)}, {_float(draft, obj.imag)})"


def _not_implemented(draft: Draft, obj: Any) -> str:
    return draft.use("builtins", "NotImplemented")


def _ellipsis(draft: Draft, obj: Any) -> str:
    return "..."


_ATOMS: dict[type, Callable[[Draft, Any], str]] = {
    int: _int,
    float: _float,
    complex: _complex,
    type(...): _ellipsis,
    type(NotImplemented): _not_implemented,
}
