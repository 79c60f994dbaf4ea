"""What a stack of decorators asks for, and what it is put on: frozen values, made once at decoration.

Named tuples, for defining them takes a tenth of what it takes to define dataclasses, and every script pays that.
"""

from __future__ import annotations

import inspect
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from reprokit.code import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from reprokit.model.records import Kind
    from reprokit.protocols import Capture

_NOTHING: Mapping[str, Any] = MappingProxyType({})

Exists = Literal["replace", "keep", "error", "reuse"]
Refresh = Literal["process", "call"]


class ArtifactSpec(NamedTuple):
    """One ``@Artifact``; None means: as the settings say."""

    names: tuple[str, ...] = ()
    config: Any = None
    allow_dirty: bool | None = None
    args: bool | tuple[str, ...] = False
    template: str | None = None
    exists: Exists | None = None
    copy: bool = False
    sidecar: bool | None = None
    embed: bool = False


class MonitorSpec(NamedTuple):
    """One ``@monitor``."""

    items: tuple[str, ...] = ()
    include_args: bool = False
    include_return_value: bool = False
    capture_output: bool = False
    captures: tuple[Capture, ...] = ()
    files: Literal["auto"] | None = None  # None: as the settings say


class SnapshotSpec(NamedTuple):
    """One ``@snapshot_code``."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class ReuseSpec(NamedTuple):
    """What ``@cache`` or ``@Artifact(exists="reuse")`` say of using results again."""

    asked: bool = False  # else as the settings say
    ignore: frozenset[str] = frozenset()  # arguments that don't count
    key: Mapping[str, Callable[[Any], object]] = {}  # argument -> what stands for it
    assume_pure: bool = False  # what of its code can't be followed doesn't count

    def joined(self, other: ReuseSpec) -> ReuseSpec:
        """Add what another decorator of the stack says."""
        return ReuseSpec(
            asked=self.asked or other.asked,
            ignore=self.ignore | other.ignore,
            key={**other.key, **self.key},
            assume_pure=self.assume_pure or other.assume_pure,
        )


def reuse_spec(
    *,
    asked: bool,
    ignore: str | Iterable[str],
    key: Mapping[str, Callable[[Any], object]] | None,
    assume_pure: bool,
) -> ReuseSpec:
    """Check and put together what a decorator was given; raises ``TypeError``."""
    try:
        names = frozenset(patterns(ignore))
    except TypeError:
        raise TypeError(f"ignore={ignore!r}: names of parameters are needed") from None
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"ignore={ignore!r}: names of parameters are needed")
    try:
        by = dict(key or {})
    except (TypeError, ValueError):
        raise TypeError(f"key= maps names of parameters to functions; {key!r} maps nothing") from None
    for name, function in by.items():
        if not isinstance(name, str) or not callable(function):
            raise TypeError(f"key= maps names of parameters to functions, not {name!r} to {function!r}")
    return ReuseSpec(asked=asked, ignore=names, key=by, assume_pure=assume_pure)


def check_names(spec: ReuseSpec, function: Any) -> None:
    """See that what ``ignore=`` and ``key=`` name are parameters of a function; raises ``TypeError``.

    ``*`` stands for positional arguments beyond the named ones.
    """
    asked = {"ignore": spec.ignore, "key": spec.key.keys()}
    if not any(asked.values()):
        return
    plain = getattr(function, "__func__", function)  # of a classmethod
    try:
        parameters = inspect.signature(plain).parameters
    except (TypeError, ValueError):  # some builtins tell nothing
        return
    kinds = {one.kind for one in parameters.values()}
    if _VAR_KEYWORD in kinds:
        return
    known = ["*" if one.kind is _VAR_POSITIONAL else name for name, one in parameters.items()]
    inside = getattr(plain, "__qualname__", "").rpartition(".")[0]
    if "self" not in known and inside and not inside.endswith("<locals>"):
        known.append("self")  # the instance, whatever a method calls it
    for option, names in asked.items():
        for name in sorted(names - set(known)):
            told = f"{getattr(plain, '__qualname__', plain)} has no parameter {name!r}"
            raise TypeError(f"{option}=: {told}; it has {', '.join(known) or 'none'}")


def checked_files(given: Literal["auto"] | None) -> Literal["auto"] | None:
    """Give what ``files=`` was given; raises ``TypeError`` when it says nothing."""
    if given not in (None, "auto"):
        raise TypeError(f'files={given!r} is unknown; files="auto" records the files that the run opens')
    return given


def patterns(given: str | Iterable[str]) -> tuple[str, ...]:
    """Give patterns that were given as one or as several."""
    return (given,) if isinstance(given, str) else tuple(given)


class Plan(NamedTuple):
    """All that the decorators of one stack ask for; None means: as the settings say."""

    artifacts: tuple[ArtifactSpec, ...] = ()
    monitor: MonitorSpec | None = None
    snapshot: SnapshotSpec | None = None
    refresh: Refresh | None = None
    strict: bool | None = None
    depends: tuple[Any, ...] = ()  # what the function depends on beyond what its source says
    reuse: ReuseSpec = ReuseSpec()

    def joined(self, other: Plan) -> Plan:
        """Add what another decorator of the stack asks for; the outer one (`self`) wins where both speak."""
        return Plan(
            artifacts=self.artifacts + other.artifacts,
            monitor=self.monitor or other.monitor,
            snapshot=self.snapshot or other.snapshot,
            refresh=self.refresh or other.refresh,
            strict=self.strict if self.strict is not None else other.strict,
            depends=self.depends + other.depends,
            reuse=self.reuse.joined(other.reuse),
        )


class Subject(NamedTuple):
    """What runs: a function, a block or a command."""

    kind: Kind
    name: str  # short, for the folder
    function: str | None = None  # module-qualified
    source_file: str | None = None
    source_line: int | None = None
    parameters: tuple[str, ...] = ()
    positions: Mapping[str, int] = _NOTHING  # parameter -> index among the positional ones
    defaults: Mapping[str, Any] = _NOTHING
    signature: inspect.Signature | None = None
    keywords: bool = False  # takes **kwargs
    command: tuple[str, ...] | None = None
    tree: str | None = None  # private name of the tree that its code was imported apart from
    target: Any = None  # the function itself
    owner: type | None = None  # class of the instance that it is bound to
    bound: bool = False  # to an instance, not to a class
    instance: Any = None  # that instance, when the arguments are to be kept


def subject_of(function: Callable[..., Any], owner: type | None = None) -> Subject:
    """Describe a function; for one that is bound to an instance of `owner`, without its first parameter."""
    bound = owner is not None
    plain = inspect.unwrap(function) if not isinstance(function, type) else function
    while hasattr(plain, "func") and not hasattr(plain, "__code__"):  # functools.partial
        plain = plain.func
    plain = getattr(plain, "__func__", plain)
    code = getattr(plain, "__code__", None)
    name = getattr(plain, "__name__", type(plain).__name__)
    qualified = getattr(plain, "__qualname__", name)
    module = getattr(plain, "__module__", None)
    tree = None
    if module and module.startswith(PREFIX):
        tree, _, module = module.partition(".")
    try:
        signature: inspect.Signature | None = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins tell nothing
        signature = None
    parameters = list(signature.parameters.values()) if signature else []
    if bound and parameters and parameters[0].kind in (_POSITIONAL, _EITHER):
        parameters = parameters[1:]
        signature = signature.replace(parameters=parameters) if signature else None
    positional = [p.name for p in parameters if p.kind in (_POSITIONAL, _EITHER)]
    named = [p for p in parameters if p.kind not in (_VAR_POSITIONAL, _VAR_KEYWORD)]
    return Subject(
        kind="function",
        name=name,
        function=f"{module}.{qualified}" if module else qualified,
        source_file=code.co_filename if code else None,
        source_line=code.co_firstlineno if code else None,
        parameters=tuple(p.name for p in named),
        positions={n: i for i, n in enumerate(positional)},
        defaults={p.name: p.default for p in named if p.default is not inspect.Parameter.empty},
        signature=signature,
        keywords=any(p.kind is _VAR_KEYWORD for p in parameters),
        tree=tree,
        target=plain,
        owner=owner,
    )


_POSITIONAL = inspect.Parameter.POSITIONAL_ONLY
_EITHER = inspect.Parameter.POSITIONAL_OR_KEYWORD
_VAR_POSITIONAL = inspect.Parameter.VAR_POSITIONAL
_VAR_KEYWORD = inspect.Parameter.VAR_KEYWORD
