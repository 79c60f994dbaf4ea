"""How an object is written: an expression with gaps for the objects that it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Form:
    """The expression that makes one object anew.

    Attributes
    ----------
    pieces : tuple of str
        Text around the children.  Of a sequence: its opening and its closing; of a mapping likewise; of anything else
        one more than there are children.
    kind : str
        ``sequence``, ``mapping`` (keys and values take turns), ``call``, ``data`` (the first piece names an array in
        a data file) or ``scope`` (see `Scope`).
    children : sequence
        What stands in the gaps.
    depth : int
        How many brackets are open around a child, at most.
    split : callable, optional
        Gives the same object in two steps, so that it may contain itself.
    cheap : bool
        Shared or not, it is written where it is used: a name, a member of an enumeration.
    opaque : bool
        A constructor that nobody knows: it can't be given objects that are still empty.
    """

    __slots__ = ("cheap", "children", "depth", "kind", "opaque", "pieces", "split")

    def __init__(
        self,
        kind: str,
        pieces: tuple[str, ...],
        children: Sequence[Any] = (),
        *,
        depth: int = 1,
        split: Callable[[], Split] | None = None,
        cheap: bool = False,
        opaque: bool = False,
    ) -> None:
        self.kind = kind
        self.pieces = pieces
        self.children = children
        self.depth = depth
        self.split = split
        self.cheap = cheap
        self.opaque = opaque

    def render(self, texts: list[str]) -> str:
        """Give the expression, with `texts` in its gaps."""
        if self.kind == "sequence":
            return f"{self.pieces[0]}{', '.join(texts)}{self.pieces[1]}"
        if self.kind == "mapping":
            each = iter(texts)
            return f"{self.pieces[0]}{', '.join([f'{key}: {value}' for key, value in zip(each, each, strict=True)])}{self.pieces[1]}"
        if not texts:
            return self.pieces[0]
        return "".join([part for pair in zip(self.pieces, texts, strict=False) for part in pair]) + self.pieces[-1]


class Split(Form):
    """An object made in two steps: empty first, then filled by statements whose first child is the object itself.

    Its own fields are those of the first step.
    """

    __slots__ = ("fills", "late")

    def __init__(self, begin: Form, fills: Sequence[Form], *, late: bool = False) -> None:
        super().__init__(begin.kind, begin.pieces, begin.children, depth=begin.depth, opaque=begin.opaque)
        self.fills = fills
        self.late = late  # hashes what it is filled with, so others come first


class Scope(Form):
    """An expression that is evaluated in a function of its own, with names for its children and its own imports."""

    __slots__ = ("arguments", "expression", "imports")

    def __init__(
        self, expression: str, arguments: dict[str, Any], imports: list[tuple[str, str | None, str]], *, opaque: bool
    ) -> None:
        super().__init__("scope", (), list(arguments.values()), depth=2, opaque=opaque)
        self.expression = expression
        self.arguments = list(arguments)
        self.imports = imports


def text(expression: str, *, cheap: bool = False) -> Form:
    """An expression without gaps."""
    return Form("call", (expression,), cheap=cheap)


def sequence(opening: str, children: Sequence[Any], closing: str, split: Callable[[], Split] | None = None) -> Form:
    """Children one after the other between brackets."""
    return Form(
        "sequence", (opening, closing), children, depth=1 if len(opening) == 1 else opening.count("(") + 1, split=split
    )


def call(
    function: str,
    arguments: Iterable[Any] = (),
    keywords: dict[str, Any] | None = None,
    *,
    split: Callable[[], Split] | None = None,
    opaque: bool = False,
) -> Form:
    """A call of `function`, an expression, with children as arguments."""
    children = list(arguments)
    labels = [""] * len(children)
    if keywords:
        labels += [f"{name}=" for name in keywords]
        children += keywords.values()
    if not children:
        return Form("call", (f"{function}()",), split=split, opaque=opaque)
    pieces = [f"{function}({labels[0]}", *[f", {label}" for label in labels[1:]], ")"]
    return Form("call", tuple(pieces), children, split=split, opaque=opaque)
