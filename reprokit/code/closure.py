"""Closure digests: what a function does, by all local code that it reaches.

The rule: a change of behaviour in local code that the function reaches changes the digest, or the record lists what is
`unknown`.  Code reaches what its names lead to: helpers, classes with all their methods and bases, constants, through
modules of the project.  Annotations count, for a function that takes a ``Model`` calls what a ``Model`` has.  Constants
count by the source that defines them, and by value where the source doesn't say it; a function whose source is not at
hand, or no longer what runs, by what it was compiled to.

What does not count, and is not said to be unknown: comments, layout and docstrings; this library's own decorators; what
only an argument brings along, such as the methods of a class that no annotation names, or the subclass that a plain
``Base.run`` is called on (give the bound method); what local code hangs into an installed package that the function
does not name; changes in place to an object of an installed package that one plain assignment defines; data in files
(``depends=`` takes them); and the script or notebook that calls the function.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from types import MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.model import digest
from reprokit.model.records import ClosureInfo

if TYPE_CHECKING:
    from reprokit.code.reach.walk import Reach

_KEPT = 256  # closures a process remembers

Unseen = Mapping[str, tuple[Any, str]]

_known: dict[Any, tuple[Any, ClosureInfo, Watch]] = {}
_writing = threading.Lock()


def of(
    function: Any,
    *,
    root: Path,
    local: Iterable[str] = (),
    depends: Iterable[object] = (),
    owner: type | None = None,
    cache: Path | None = None,
) -> ClosureInfo:
    """Give the closure of a function.

    Parameters
    ----------
    function
        A function, method, class, callable instance or partial.  A bound method brings the class of its instance.
    root
        The project's folder: modules below it are local, but for virtual environments in it.
    local
        Names of more top-level modules that count as local, wherever they lie.
    depends
        What else the function depends on and no reader of its source can see: functions, classes, modules, names as
        ``"pkg.mod:name"`` or ``"pkg.mod"``, or files (`pathlib.Path`), which count by content.
    owner
        The class of the instance that a method is going to be called on, when `function` is the plain function.
    cache
        A folder where what source files say is kept between processes, so that they need not be parsed again; the
        closure is the same with and without.  It may be removed at any time.

    Raises
    ------
    TypeError
        When `depends` holds something else.
    """
    return look(function, root=root, local=local, depends=depends, owner=owner, cache=cache)[0]


def look(
    function: Any,
    *,
    root: Path,
    local: Iterable[str] = (),
    depends: Iterable[object] = (),
    owner: type | None = None,
    cache: Path | None = None,
) -> tuple[ClosureInfo, Unseen]:
    """Give the closure of a function, and by label the constants whose content is not in it.

    Those are objects of installed packages, such as a table that was read when a module was imported.  With each comes the
    sentence under ``unknown`` that says so; an empty one where the source of the constant counts.
    """
    local, depends = tuple(local), tuple(depends)
    subject = function
    if type(function) is MethodType:  # what the instance holds is an argument; what it is, is code
        subject, owner = function.__func__, type(function.__self__)
    key = (id(subject), id(owner), root, local, tuple(map(id, depends)))
    known = _known.get(key)
    if known is not None and known[2].holds():
        return known[1], known[2].unseen
    found, watch = _walk(subject, owner, root, local, depends, cache)
    with _writing:
        if len(_known) >= _KEPT:
            del _known[next(iter(_known))]
        _known.pop(key, None)
        _known[key] = ((subject, owner, depends), found, watch)  # what is kept keeps its id
    return found, watch.unseen


def _walk(
    function: Any,
    owner: type | None,
    root: Path,
    local: tuple[str, ...],
    depends: tuple[object, ...],
    cache: Path | None,
) -> tuple[ClosureInfo, Watch]:
    from reprokit.code.reach import installed
    from reprokit.code.reach.labels import of_texts
    from reprokit.code.reach.modules import Modules, stamp_of
    from reprokit.code.reach.walk import Reach

    reach = Reach(Modules(root, local, cache))
    files: dict[str, Any] = {}
    edges = [_subject(reach, function, owner)]
    reach.run()
    name = next(iter(reach.parts), edges[0])
    for one in depends:
        if isinstance(one, Path):
            path = one if one.is_absolute() else Path(root) / one
            files[str(path)] = stamp_of(str(path))
            label = f"file {path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name}"
            reach.kinds[label] = "file"
            reach.parts[label] = digest.of_bytes(path.read_bytes())
        else:
            edges.append(_depends(reach, one, function))
    reach.run()
    packages, unknown = installed.versions(reach.foreign)
    parts = dict(sorted(reach.parts.items()))
    said = [f"{label}={part}" for label, part in parts.items()]
    said += [f"{package}=={version}" for package, version in packages.items()]
    closure = ClosureInfo(
        function=name,
        digest=of_texts("reprokit/closure/1", [*edges, *said]),
        parts=parts,
        kinds={label: kind for label, kind in sorted(reach.kinds.items()) if label in parts},
        packages=packages,
        unknown=sorted({*reach.unknown, *unknown}),
        environment=sorted(reach.environment),
    )
    files.update(reach.modules.files)
    return closure, Watch(reach, files)


def _subject(reach: Reach, function: Any, owner: type | None) -> str:
    from reprokit.code.reach.modules import unwrapped

    function = unwrapped(function)
    if owner is not None:
        return f"{reach.link(function)} of {reach.link(owner)}"
    return reach.described(function, "the function", opaque=callable(function))


def _depends(reach: Reach, one: object, function: Any) -> str:
    from reprokit.code.reach.modules import Module

    if isinstance(one, str):
        return reach.named(one, Module(str(getattr(function, "__module__", "")), None, True))
    if isinstance(one, ModuleType) or callable(one):
        return reach.described(one, "depends")
    raise TypeError(
        f"depends= takes functions, classes, modules, their names ('pkg.mod:name') and paths, not {type(one).__name__}"
    )


class Watch:
    """What a closure was read from, so that it can be told quickly whether that still holds."""

    def __init__(self, reach: Reach, files: dict[str, Any]) -> None:
        from reprokit.code.reach.values import MISSING

        self.unseen: Unseen = reach.unseen
        self._spaces, self._getters, self._values, self._absent = [], [], [], []
        for space, looked in reach.modules.looked.values():
            found = {name: value for name, value in looked.items() if value is not MISSING}
            self._absent += [(space, name) for name in looked if name not in found]
            if found:
                names, values = [*found], [*found.values()]  # the first twice: of one name, no tuple would be given
                self._spaces.append(space)
                self._getters.append(operator.itemgetter(*names, *names[:1]))
                self._values += [*values, *values[:1]]
        self._functions = list(dict.fromkeys(reach.functions))
        self._codes = list(map(_CODE, self._functions))
        self._defaults = list(map(_DEFAULTS, self._functions))
        # Few functions have the following; that the others still have none is told without a step of Python for each.
        # Without keyword-only parameters, defaults for them mean nothing.
        keywords = [one for one in self._functions if one.__code__.co_kwonlyargcount]
        self._without_keywords = [one for one in keywords if not one.__kwdefaults__]
        self._keywords = [(one, dict(one.__kwdefaults__)) for one in keywords if one.__kwdefaults__]
        states = list(map(_STATE, self._functions))
        self._states = [(one, dict(held)) for one, held in zip(self._functions, states, strict=True) if held]
        self._without_state = [one for one in self._functions if not vars(one)] if self._states else self._functions
        self._classes = [(value, list(vars(value).values())) for value in reach.classes]
        self._cells = list(reach.cells)
        self._files = list(files.items())
        self._labels, self._labelled = reach.labels, reach.labelled
        self._outside, self._passed = reach.outside, reach.passed
        self._roots = reach.modules.roots
        self._mutable = []
        for value, text in reach.mutable:
            fast = _fast(value)
            self._mutable.append((value, text if fast is None else "", fast))

    def holds(self) -> bool:
        """Tell whether all is as it was: names, code, defaults, classes, closures' cells, and values."""
        try:
            return (
                all(map(operator.is_, chain.from_iterable(map(_CALL, self._getters, self._spaces)), self._values))
                and not any(name in space for space, name in self._absent)
                and list(map(_CODE, self._functions)) == self._codes  # the same or equal, which do the same
                and all(map(operator.is_, map(_DEFAULTS, self._functions), self._defaults))
                and not any(map(_KEYWORDS, self._without_keywords))
                and not any(map(_STATE, self._without_state))
                and all(_same_items(one.__kwdefaults__, items) for one, items in self._keywords)
                and all(_same_items(vars(one), items) for one, items in self._states)
                and all(_same_class(value, held) for value, held in self._classes)
                and all(cell.cell_contents is value for cell, value in self._cells)
                and all(self._same_value(value, text, fast) for value, text, fast in self._mutable)
                and all(_stamp(path) == stamp for path, stamp in self._files)
            )
        except (ValueError, LookupError, RuntimeError):  # an empty cell, something new, a container that changes
            return False

    def _same_value(self, value: Any, text: str, fast: bytes | None) -> bool:
        if fast is not None:
            return _fast(value) == fast
        from reprokit.code.reach.values import Describer

        return Describer(self._link, self._roots, self._link_inside).text(value) == text

    def _link_inside(self, value: Any) -> str | None:
        return "" if id(value) in self._passed else self._link(value)

    def _link(self, value: Any) -> str | None:
        from reprokit.code.reach.modules import OWN, is_own, unwrapped

        known = self._labels.get(id(value))
        if known is not None:
            return known
        if is_own(value):
            inner = unwrapped(value)
            return OWN if inner is value else self._link(inner)
        if id(type(value)) in self._outside:
            return None
        return self._labels[id(type(value))]


_CALL: Any = operator.call
_CODE = operator.attrgetter("__code__")
_DEFAULTS = operator.attrgetter("__defaults__")
_KEYWORDS = operator.attrgetter("__kwdefaults__")
_STATE = operator.attrgetter("__dict__")


def _same_items(now: dict[str, Any] | None, then: dict[str, Any]) -> bool:
    return now is not None and list(now) == list(then) and all(map(operator.is_, now.values(), then.values()))


def _same_class(value: type, held: list[Any]) -> bool:
    now = vars(value)
    return len(now) == len(held) and all(map(operator.is_, now.values(), held))


def _stamp(path: str) -> Any:
    from reprokit.code.reach.modules import stamp_of

    return stamp_of(path)


def _fast(value: Any) -> bytes | None:
    """Give bytes that tell plain data from other plain data; None for what is no plain data."""
    import hashlib
    import marshal

    try:
        data = marshal.dumps(value, 2)  # without references between its parts, which depend on who else holds them
    except (ValueError, TypeError):
        return None
    return data if len(data) < 4096 else hashlib.sha256(data).digest()


def explain(old: ClosureInfo, new: ClosureInfo) -> list[str]:
    """Say in words what differs between two closures; empty when nothing does."""
    said: list[str] = []
    kinds = {**old.kinds, **new.kinds}
    for label in sorted(old.parts.keys() | new.parts.keys()):
        before, after = old.parts.get(label), new.parts.get(label)
        if before == after:
            continue
        own = label in {old.function, new.function}
        named = _words(label, kinds.get(label, "function"), own)
        if before is None:
            said.append(f"{named} is now used")
        elif after is None:
            said.append(f"{named} is no longer used")
        else:
            said.append(f"{named} changed")
    for name in sorted(old.packages.keys() | new.packages.keys()):
        versions = (old.packages.get(name), new.packages.get(name))
        if versions[0] != versions[1]:
            if None in versions:
                said.append(f"{name} {'is now used' if versions[0] is None else 'is no longer used'}")
            else:
                said.append(f"{name} {versions[0]} -> {versions[1]}")
    said += [f"now unknown: {one}" for one in new.unknown if one not in old.unknown]
    said += [f"no longer unknown: {one}" for one in old.unknown if one not in new.unknown]
    if not said and old.digest != new.digest:
        said.append("the function is put together in another way from the same parts")
    return said


def _words(label: str, kind: str, own: bool) -> str:
    if own:
        return f"the function {label} itself"
    if kind == "import":
        return f"what importing {label.partition(':')[0]} runs"
    if kind == "bytecode":
        return f"helper {label} (without source)"
    return f"{'helper' if kind == 'function' else kind} {label}".replace("file file", "file")
