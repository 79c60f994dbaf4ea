"""A call that was asked about, as records would have it, and how it differs from an earlier run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from reprokit.catalog.diff import lines, values
from reprokit.catalog.why import arguments, variables, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reprokit.catalog.diff.facts import Facts
    from reprokit.catalog.why.arguments import Shown
    from reprokit.model.records import ClosureInfo, ReuseInfo


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call, as far as its result depends on it.

    Attributes
    ----------
    function : str
        As records name it: with its module.
    closures : dict
        Of the functions and classes that arguments bring along, by the names that `info.code` has.
    brought : dict
        Such a name -> the argument that brings it.
    config : Any
        In plain form, secrets taken out.
    shown
        The arguments as the record of this call would show them.
    variables : dict
        Environment variables that the code reads -> what may be shown of them.
    outputs : frozenset of str
        Parameters that name outputs.
    file : str or None
        Of the function, relative to the project.
    """

    function: str
    name: str
    info: ReuseInfo
    closure: ClosureInfo
    closures: dict[str, ClosureInfo]
    brought: dict[str, str]
    config: Any
    config_hash: str
    shown: Shown
    variables: dict[str, str]
    positions: Mapping[str, int]
    defaults: Mapping[str, Any]
    outputs: frozenset[str]
    ignored: frozenset[str]
    root: Path
    file: str | None
    python_path: list[str]


class Differing(NamedTuple):
    """One thing that differs."""

    kind: Literal["code", "constant", "config", "argument", "variable", "package", "python", "output", "unknown"]
    sentence: str  # of code: what is said while its file is not known
    label: str = ""  # the part of the code
    change: Literal["changed", "added", "removed"] = "changed"
    argument: str = ""


def compare(call: Call, facts: Facts) -> list[Differing]:
    """Say how a call differs from an earlier run; code first."""
    found = list(_code(call, facts))
    found += _constants(call, facts)
    found += [Differing("config", said) for said in _config(call, facts)]
    found += _arguments(call, facts)
    found += _variables(call, facts)
    packages = facts.closure.packages if facts.closure else None
    if packages is not None:
        found += [Differing("package", said) for said in words.versions(packages, call.closure.packages)]
    info = facts.run.reuse
    if info is not None and info.key is not None:
        found += [Differing("python", said) for said in words.python(info.python, call.info.python)]
        if info.outputs != call.info.outputs:
            found.append(Differing("output", _outputs(call, facts)))
        if not found and info.key != call.info.key:
            found += _unseen(call, facts)
    return found


# --- code --------------------------------------------------------------------------------------------------------------


def _code(call: Call, facts: Facts) -> Iterator[Differing]:
    then, now = facts.closure, call.closure
    if then is None:
        if facts.closure_digest != now.digest:
            yield Differing("code", "code that the function reaches changed; which, is not recorded")
        return
    if then.digest == now.digest:
        return
    own = now.function
    kinds: list[Literal["changed", "added", "removed"]] = ["changed", "added", "removed"]
    seen = False
    for change in kinds:
        for label in sorted({*then.parts, *now.parts}, key=lambda label: (label == own, label)):
            before, after = then.parts.get(label), now.parts.get(label)
            if before != after and change == ("added" if before is None else "removed" if after is None else "changed"):
                seen = True
                yield Differing("code", "", label, change)
    if not seen and then.packages == now.packages:
        yield Differing("code", "the function is put together in another way from the same parts")


def _constants(call: Call, facts: Facts) -> Iterator[Differing]:
    """Say which constants hold other objects of installed packages, unless their source changed as well."""
    info = facts.run.reuse
    then, now = info.constants if info is not None else {}, call.info.constants
    parts = facts.closure.parts if facts.closure is not None else {}
    for label in sorted(then.keys() & now.keys()):
        if then[label] != now[label] and parts.get(label) == call.closure.parts.get(label):
            yield Differing("constant", "holds something else", label)


def kind_of(label: str, call: Call, facts: Facts | None) -> str:
    """Give the kind of a part, as it is now where it still is."""
    kinds = {**(facts.closure.kinds if facts and facts.closure else {}), **call.closure.kinds}
    then = facts.closure.parts if facts and facts.closure else {}
    if label not in call.closure.kinds and label in call.closure.parts:
        return "function"
    return kinds.get(label, "function") if label in {**then, **call.closure.parts} else "function"


# --- configuration -----------------------------------------------------------------------------------------------------


def _config(call: Call, facts: Facts) -> list[str]:
    info = facts.run.reuse
    same_hash = facts.run.config_hash == call.config_hash
    if info is not None and info.key is not None:
        if info.config == call.info.config:
            return []
        if same_hash:
            return ["the configuration of another of its decorators changed"]
    elif same_hash:
        return []
    told = words.config(_plain(facts.config), _plain(call.config))
    return told or [f"the config changed{_hidden(facts)}"]


def _hidden(facts: Facts) -> str:
    places = [one for one in facts.redacted if one.startswith("config")]
    return f" in a value that records don't show, for it is a secret: {', '.join(places[:3])}" if places else ""


def config_diff(before: Any, after: Any) -> str:
    """Give the unified diff of two configurations, as JSON with sorted keys."""
    before, after = _plain(before), _plain(after)
    if values.equal(before, after):
        return ""
    a, b = (
        json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False, default=str).split("\n")
        for told in (before, after)
    )
    return "\n".join(["--- a/config", "+++ b/config", *lines.hunks(a, b, lines.changes(a, b), lambda _: True, 3)])


def _plain(config: Any) -> Any:
    return {} if config is None else config


# --- arguments ---------------------------------------------------------------------------------------------------------


def _arguments(call: Call, facts: Facts) -> list[Differing]:
    info = facts.run.reuse
    then = _shown_then(call, facts)
    if info is None or info.key is None:
        but = call.outputs | call.ignored
        if then is None:
            return [Differing("unknown", "whether the arguments are the same is not recorded")]
        said, unknown = arguments.by_record(then, call.shown, but)
        found = [Differing("argument", one, argument=name) for name, one in said.items()]
        return [*found, *(Differing("unknown", one) for one in unknown)]
    said = arguments.by_digest(info.arguments, call.info.arguments, then, call.shown)
    found = [Differing("argument", one, argument=name) for name, one in said.items()]
    return [*found, *_brought(call, info, frozenset(said))]


def _shown_then(call: Call, facts: Facts) -> Shown | None:
    """Give the arguments of then; defaults count as they are now, as long as the function is the same."""
    if facts.call is None:
        return None
    own = call.closure.function
    same = facts.closure is not None and facts.closure.parts.get(own) == call.closure.parts.get(own)
    return arguments.recorded(facts.call, call.positions, call.defaults if same else {})


def _brought(call: Call, info: ReuseInfo, told: frozenset[str]) -> Iterator[Differing]:
    """Say which arguments bring other code along, unless they are others altogether."""
    for name in dict.fromkeys([*call.info.code, *info.code]):
        if info.code.get(name) == call.info.code.get(name):
            continue
        argument = call.brought.get(name, "")
        if argument in told or (not argument and told):
            continue
        lead = f"argument {argument} now runs other code" if argument else "an argument brings other code along"
        yield Differing(
            "argument", lead, label=name if name in info.code and name in call.closures else "", argument=argument
        )


# --- the rest ----------------------------------------------------------------------------------------------------------


def _variables(call: Call, facts: Facts) -> Iterator[Differing]:
    info, context = facts.run.reuse, facts.surroundings
    recorded = context.environment_variables if context is not None else {}
    if info is None or info.key is None:
        for name in call.closure.environment:
            yield Differing("unknown", f"whether environment variable {name} is the same is not recorded")
        return
    for said in variables.differing(info.environment, call.info.environment, recorded, call.variables):
        yield Differing("variable", said)


def _outputs(call: Call, facts: Facts) -> str:
    """Say how the form of the output paths differs."""
    before = sorted(
        {_suffix(one.requested) for one in facts.artifacts if one.keyword in call.outputs and one.requested}
    )
    after = sorted({_suffix(path) for name in call.outputs for path in _paths(call.shown.of(name))})
    if before and after and before != after:
        return f"the output's suffix {', '.join(before)} -> {', '.join(after)}"
    return "the form of the output paths changed: their types, suffixes, or how many there are"


def _suffix(path: str) -> str:
    from reprokit.model import naming

    name = path.rstrip("/").rpartition("/")[2]
    return naming.split(name)[1] or "(none)"


def _paths(told: Any) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    elif isinstance(told, list):
        for one in told:
            yield from _paths(one)
    elif isinstance(told, dict):
        if isinstance(told.get("text"), str):
            yield told["text"]
        else:
            for one in told.values() if "$type" not in told else told.get("items", []):
                yield from _paths(one)


def _unseen(call: Call, facts: Facts) -> Iterator[Differing]:
    """Say what is left when nothing that is recorded differs, and the key does."""
    secrets = [one for one in facts.redacted if not one.startswith("config")]
    hidden = sorted(set(call.closure.environment) - call.info.environment.keys())
    if secrets:
        yield Differing(
            "argument", f"an argument that is a secret changed ({', '.join(secrets[:3])}): no digest of it is kept"
        )
    if hidden:
        yield Differing("variable", f"an environment variable that is a secret changed ({', '.join(hidden[:3])})")
    if not secrets and not hidden:
        said = "something that records don't show changed: another version of reprokit may have made the earlier run"
        yield Differing("argument", said)
