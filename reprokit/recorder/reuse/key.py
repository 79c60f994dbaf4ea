"""The key of a call: a digest of all that is known to decide about its result before its function runs.

Two calls have one key when these are the same: what the function and the code that it reaches do, the hashes of the
configurations, the arguments but for the names of outputs, the code that arguments bring along, the environment variables
that all this code reads, what constants of it hold that the source doesn't tell, and, unless the settings say otherwise, the
minor version of Python.  Files count apart from the key, by what `candidates` compares.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.capture import values
from reprokit.code import closure as closures
from reprokit.model import digest
from reprokit.model.records import ClosureInfo, ReuseInfo
from reprokit.recorder import closures as own_closures
from reprokit.recorder.reuse import arguments
from reprokit.recorder.reuse.arguments import Arguments, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reprokit.code.closure import Unseen
    from reprokit.model.redact import Redactor
    from reprokit.recorder.faults import Faults
    from reprokit.recorder.plan import Plan, Subject
    from reprokit.recorder.project import Project

_FILLED = frozenset({"logging", "matplotlib.colors"})  # modules whose objects remember things when they are used
PYTHON = f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}"


class Key(msgspec.Struct):
    """What a call's result depends on.

    Attributes
    ----------
    info
        The parts, as records have them; `ReuseInfo.key` is the digest of all.
    closure
        Of the function.
    closures
        Of the functions and classes that arguments bring along, by their names.
    arguments
        The call.
    environment
        Digests of the variables that all this code reads, secret ones too.
    constants
        Digests of the objects of installed packages that constants of all this code hold, by label.
    """

    info: ReuseInfo
    closure: ClosureInfo
    closures: dict[str, ClosureInfo]
    arguments: Arguments
    environment: dict[str, str]
    constants: dict[str, str]

    @property
    def digest(self) -> str:
        assert self.info.key is not None
        return self.info.key


def key_of(
    plan: Plan,
    subject: Subject,
    instance: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    config_hashes: Sequence[str],
    project: Project,
    faults: Faults,
) -> Key:
    """Find the key of a call.

    Raises
    ------
    Refused
        When something that it depends on can't be known.
    """
    spec = plan.reuse
    closure, unseen = own_closures.look(plan, subject, project, faults)
    if closure is None:
        raise Refused("the code that it reaches could not be found out")
    constants = {} if spec.assume_pure else constants_of(unseen)
    seen = {sentence for label, (_, sentence) in unseen.items() if label in constants}
    unknown = [one for one in closure.unknown if one not in seen and (not plan.depends or one.startswith("depends: "))]
    if unknown and not spec.assume_pure:
        raise Refused(_unknown(unknown))
    outputs = frozenset(name for one in plan.artifacts for name in one.names)
    found = arguments.look(subject, instance, args, kwargs, outputs, spec, project.redactor, project.settings.template)
    brought, more = brought_along(found.code, subject, plan, project)
    config = digest.of_parts("reprokit/configs/1", *map(str.encode, config_hashes))
    python = PYTHON if project.settings.reuse_python == "minor" else None
    parts = [closure.digest, config, found.outputs, python or ""]
    for one in found.counted:
        parts += [one.name, one.digest]
    for name, other in brought.items():
        parts += [name, other.digest]
    environment, recorded = environment_of([closure, *brought.values()], project.redactor)
    for name, said in environment.items():
        parts += [f"environment variable {name}", said]
    constants.update(more)
    for name, said in constants.items():
        parts += [f"constant {name}", said]
    info = ReuseInfo(
        key=digest.of_parts("reprokit/reuse/1", *(part.encode("utf-8", "surrogatepass") for part in parts)),
        config=config,
        arguments={one.name: one.digest for one in found.counted if not project.redactor.is_secret_name(one.name)},
        code={name: other.digest for name, other in brought.items()},
        constants={
            label: said for label, said in constants.items() if not project.redactor.is_secret_name(_name(label))
        },
        outputs=found.outputs,
        python=python,
        environment=recorded,
    )
    return Key(info, closure, brought, found, environment, constants)


def brought_along(
    code: Sequence[Any], subject: Subject, plan: Plan, project: Project
) -> tuple[dict[str, ClosureInfo], dict[str, str]]:
    """Give the closures of what arguments bring along, and digests of constants in that code; raises `Refused`."""
    found: dict[str, ClosureInfo] = {}
    constants: dict[str, str] = {}
    for one in code:
        other, unseen = closures.look(one, root=own_closures.root_of(subject, project), cache=project.vault.closures)
        if not plan.reuse.assume_pure:
            held = constants_of(unseen)
            seen = {sentence for label, (_, sentence) in unseen.items() if label in held}
            if unknown := [one for one in other.unknown if one not in seen]:
                raise Refused(_unknown(unknown))
            constants.update(held)
        name = other.function
        while name in found:
            name += "'"
        found[name] = other
    return found, constants


def constants_of(unseen: Unseen) -> dict[str, str]:
    """Digest what constants hold; of what has no digest, such as a pool or a client, its source counts alone."""
    digests: dict[str, str] = {}
    for label, (value, _) in sorted(unseen.items(), key=lambda item: item[0]):
        if type(value).__module__ in _FILLED:
            continue
        with suppress(values.UnknownValueError):
            digests[label] = values.tell(value).digest
    return digests


def environment_of(found: Sequence[ClosureInfo], redactor: Redactor) -> tuple[dict[str, str], dict[str, str]]:
    """Digest the environment variables that code reads; secrets so that it takes long, and not for the record."""
    digests: dict[str, str] = {}
    recorded: dict[str, str] = {}
    for name in sorted({name for one in found for name in one.environment}):
        try:
            value = os.environ.get(name)
        except UnicodeEncodeError:  # no variable can have that name
            value = None
        digests[name] = of_variable(value)
        if value is not None and (redactor.is_secret_name(name) or redactor.text(value)[1]):
            digests[name] = arguments.slowly(digests[name])
        elif not redactor.is_secret_name(name):
            recorded[name] = digests[name]
    return digests, recorded


def of_variable(value: str | None) -> str:
    """Digest the value of an environment variable; one that is empty is not absent."""
    said = [] if value is None else [value.encode("utf-8", "surrogatepass")]
    return digest.of_parts("reprokit/environment/1", *said)


def _name(label: str) -> str:
    return label.rpartition(":")[2].rpartition(".")[2]


def _unknown(unknown: Sequence[str]) -> str:
    more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
    return (
        f"what it runs can't be followed: {unknown[0]}{more}; "
        "name that in depends=, or say assume_pure=True if it doesn't matter"
    )
