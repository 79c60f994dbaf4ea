"""What the recorder found out about a call, put as the comparison takes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.capture import arguments, values
from reprokit.catalog.why import variables
from reprokit.catalog.why.arguments import Shown
from reprokit.catalog.why.call import Call
from reprokit.catalog.why.sources import relative
from reprokit.code import loaded
from reprokit.recorder import opening
from reprokit.recorder.reuse import candidates
from reprokit.recorder.reuse.named import Named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprokit.model.records import ReuseEntry
    from reprokit.recorder.reuse.attempt import Attempt
    from reprokit.recorder.reuse.key import Key


def inputs(made: Attempt, entry: ReuseEntry, others: frozenset[str]) -> Iterable[str]:
    """Say how the inputs of a result differ from what the call would read, but for those that `others` name."""
    assert made.key is not None
    own = made.key.arguments.named
    named = Named(made.project.settings.template)
    named.files = {place: path for place, path in own.files.items() if _argument(place) not in others}
    named.folders = {place: path for place, path in own.folders.items() if _argument(place) not in others}
    kept = msgspec.structs.replace(
        entry,
        inputs=[one for one in entry.inputs if _argument(one.keyword or "") not in others],
        listed={told: one for told, one in entry.listed.items() if _argument(told.rpartition("|")[0]) not in others},
    )
    return candidates.inputs_differ(kept, named, made.project)


def _argument(place: str) -> str:
    """Give the argument of a place: ``paths`` of ``paths[0]`` and of ``paths/sub/a.csv``."""
    return re.split(r"[\[/]", place, maxsplit=1)[0]


def call(made: Attempt, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Describe the call as its record would."""
    subject, project, found = made.subject, made.project, made.key
    assert found is not None
    told = arguments.call(args, kwargs, project.redactor, tuple(subject.positions))
    defaults = arguments.call((), dict(subject.defaults), project.redactor).kwargs
    config, config_hash = None, opening.EMPTY_HASH
    for spec in made.plan.artifacts:
        if config is None:
            config, config_hash = opening.configured(spec, subject, args, kwargs)
    return Call(
        function=subject.function or subject.name,
        name=subject.name,
        info=found.info,
        closure=found.closure,
        closures=found.closures,
        brought=_brought(made, found),
        config=project.redactor.value("config", config)[0] if config is not None else None,
        config_hash=config_hash,
        shown=Shown(told.args, told.kwargs, subject.positions, defaults),
        variables=variables.shown(found.info.environment, project.redactor),
        positions=subject.positions,
        defaults=defaults,
        outputs=frozenset(name for spec in made.plan.artifacts for name in spec.names),
        ignored=made.plan.reuse.ignore,
        root=project.root,
        file=relative(subject.source_file, str(project.root)) if subject.source_file else None,
        python_path=loaded.python_path(project.root),
    )


def _brought(made: Attempt, found: Key) -> dict[str, str]:
    """Give the arguments that bring code along, by what `Key.closures` calls that."""
    spec, names, brought = made.plan.reuse, iter(found.closures), {}
    for one in found.arguments.counted:
        by = spec.key.get(one.name)
        for _ in values.tell(one.value if by is None else by(one.value)).code:
            name = next(names, None)
            if name is not None:
                brought[name] = one.name
    return brought
