"""From a plan and a call to names: which commit, which config, which paths.  All refusals happen here, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.capture import config as configs
from reprokit.capture import files
from reprokit.errors import SettingsError
from reprokit.model import canonical
from reprokit.recorder import outputs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprokit.recorder.facts import Facts
    from reprokit.recorder.faults import Faults
    from reprokit.recorder.plan import ArtifactSpec, Plan, Subject
    from reprokit.recorder.project import Project

EMPTY_HASH = canonical.config_hash({})


class Opened(msgspec.Struct):
    """What is settled before a run starts."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    commit: str
    config: Any  # plain form
    config_hash: str
    expected: list[outputs.Expected]
    spec: ArtifactSpec | None  # names what `Context.artifact` is asked for


def settle(
    plan: Plan,
    subject: Subject,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    project: Project,
    facts: Facts,
    faults: Faults,
    known: Iterable[outputs.Expected] = (),
) -> Opened:
    """Name the outputs of a call.

    Raises
    ------
    DirtyRepositoryError, MissingKeywordError, ConfigError, NamingError, ArtifactExistsError, SettingsError
        Each before the function started and before anything was written.
    """
    if plan.monitor is not None:
        check_items(plan.monitor.items, project)
    opened = Opened(
        args=args,
        kwargs=kwargs,
        commit="",
        config=None,
        config_hash=EMPTY_HASH,
        expected=[],
        spec=plan.artifacts[0] if plan.artifacts else None,
    )
    named = [spec for spec in plan.artifacts if spec.names]
    for spec in named:
        require_clean(spec, project, facts)
    opened.commit = commit_of(facts, faults, tree=bool(named or plan.snapshot))
    for spec in plan.artifacts:
        value, digest = configured(spec, subject, args, kwargs)
        if opened.config is None:  # several decorators: the outermost that has a config speaks for the run
            opened.config, opened.config_hash = value, digest
        if spec.names:
            how = naming_of(spec, opened.commit, digest, project)
            _rewrite(spec, subject, how, opened, project, faults, known)
    return opened


def _rewrite(
    spec: ArtifactSpec,
    subject: Subject,
    how: outputs.Naming,
    opened: Opened,
    project: Project,
    faults: Faults,
    known: Iterable[outputs.Expected],
) -> None:
    def name_path(requested: str, keyword: str | None) -> str:
        if outputs.expected_already(requested, how, known):
            return outputs.tagged_path(requested, how)
        tagged, expected = outputs.expect(requested, keyword, how, project, faults)
        opened.expected.append(expected)
        return tagged

    opened.args, opened.kwargs = outputs.rewrite(spec, subject, opened.args, opened.kwargs, name_path)


def require_clean(spec: ArtifactSpec, project: Project, facts: Facts) -> None:
    """Refuse a dirty repository unless the decorator or the settings allow it."""
    allowed = project.settings.allow_dirty if spec.allow_dirty is None else spec.allow_dirty
    if not allowed:
        facts.require_clean()


def commit_of(facts: Facts, faults: Faults, *, tree: bool) -> str:
    """Give the commit as names have it; a tree that cannot be kept is a fault, and the name says only ``dirty``."""
    commit: str | None = None
    if tree:
        with faults.at("the source tree"):
            commit = facts.commit(tree=True)
    faults.notes.extend(note for note in (facts.why_no_git(), facts.why_stale()) if note)
    return commit or facts.commit(tree=False)


def naming_of(spec: ArtifactSpec, commit: str, digest: str, project: Project) -> outputs.Naming:
    """Fill what the decorator left open from the settings."""
    settings = project.settings
    return outputs.Naming(
        commit=commit,
        config_hash=digest,
        template=spec.template or settings.template,
        exists=spec.exists or settings.exists,
        copy=spec.copy,
        sidecar=settings.sidecar if spec.sidecar is None else spec.sidecar,
        embed=spec.embed,
    )


def configured(spec: ArtifactSpec, subject: Subject, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, str]:
    """Give a decorator's config in plain form, and its hash.

    With ``args`` the hash covers ``{"arguments": {...}, "config": ...}``; the rewritten paths are no part of it.
    """
    if spec.config is None and not spec.args:
        return None, EMPTY_HASH
    bound = _bound(subject, args, kwargs) if spec.args or configs.is_function(spec.config) else None
    value = configs.resolve(spec.config, bound)
    if spec.args and bound is not None:
        names = [n for n in bound if n not in spec.names] if isinstance(spec.args, bool) else spec.args
        arguments = {name: bound[name] for name in names if name in bound}
        value = {"config": value if value is not None else {}, "arguments": arguments}
    plain = canonical.plain(value) if value is not None else {}
    return plain, canonical.hash_of_plain(plain)


def _bound(subject: Subject, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    if subject.signature is None:
        return dict(kwargs)
    bound = subject.signature.bind(*args, **kwargs)  # TypeError here is the one that the call itself would raise
    bound.apply_defaults()
    return dict(bound.arguments)


def check_items(items: tuple[str, ...], project: Project) -> None:
    """Refuse monitor items that the settings don't have.

    Raises
    ------
    SettingsError
        Naming the nearest one.
    """
    known = project.settings.items
    for item in items:
        if item not in known:
            import difflib

            near = difflib.get_close_matches(item, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"add a table [monitor.item.{item}.files]"
            source = str(project.settings.source or project.root / "reprokit.toml")
            raise SettingsError(source, f"monitor.item.{item}", f"there is no such item; {hint}")


def used(path: str | Path) -> tuple[Path, str, int]:
    """Digest a used input; raises ``FileNotFoundError`` when it is not there."""
    found = Path(path)
    if not found.exists():
        raise FileNotFoundError(2, "no such input", str(path))
    digest, size = files.digest_path(str(found))
    return found, digest, size
