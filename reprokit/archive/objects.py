"""Base classes for objects that are archived by what their constructor needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Archivable:
    """Base of classes that are made anew from names and values.

    A derived class has a constructor that takes as keywords what `items` gives.

    Examples
    --------
    >>> class Grid(Archivable):
    ...     def __init__(self, n, box):
    ...         self.n, self.box = n, box
    >>> Grid(n=64, box=1.5)
    Grid(n=64, box=1.5)
    """

    def items(self) -> Iterable[tuple[str, Any]]:
        """Give the names and values with which the constructor makes an equal object; by default all attributes."""
        return list(vars(self).items())

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self.items()])

    def get_persistent_rep(
        self, env: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any], list[tuple[str, str | None, str]]]:
        """Give ``(rep, args, imports)``.

        Returns
        -------
        rep : str
            An expression that makes the object.
        args : dict
            The objects that it names.
        imports : list of tuple
            ``(module, name, alias)`` for ``from module import name as alias``.
        """
        args = dict(self.items())
        name = type(self).__qualname__
        top = name.partition(".")[0]
        return f"{name}({', '.join([f'{one}={one}' for one in args])})", args, [(type(self).__module__, top, top)]

    def archive(self, name: str) -> str:
        """Give source that rebuilds the object under `name`."""
        from reprokit.archive.archive import Archive

        one = Archive(allowed_names=[name])
        items: dict[str, Any] = {name: self}
        one.insert(**items)
        return str(one)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([f'{name}={value!r}' for name, value in self.items()])})"


class Container(Archivable):
    """Attributes, and nothing else.

    Examples
    --------
    >>> Container(a=1, s="Hi")
    Container(a=1, s='Hi')
    """

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)
