"""``why``: whether a call would be answered by an earlier run, and what differs when not."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import wrapt

from reprokit.decorators.wrapper import RunWrapper, Stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.catalog.why import Why
    from reprokit.errors import DirtyRepositoryError
    from reprokit.model.records import ReuseEntry
    from reprokit.recorder.plan import Plan
    from reprokit.recorder.project import Project
    from reprokit.recorder.reuse.attempt import Attempt

_REMEDY = 'put @rk.cache or @rk.Artifact(..., exists="reuse") on it'


class _Asked(NamedTuple):
    """A call as the wrapper around a function would get it."""

    stack: Stack
    instance: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def why(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Why:
    """Tell whether a call is answered by an earlier run, and if not, what differs.

    The function is not called, nothing is recorded, and no file is put in place.

    Parameters
    ----------
    function
        One with ``@cache`` or ``@Artifact(..., exists="reuse")``; a bound method or an async function too.
    *args, **kwargs
        What it would be called with.

    Returns
    -------
    Why
        With ``hit``, ``reasons`` (what differs, first things first), ``diff`` and ``run_id``.  Its text says it all.

    Raises
    ------
    TypeError
        When no result of that function is ever used again, or the arguments don't fit.
    ConfigError, MissingKeywordError, NamingError
        As the call itself would raise.

    Examples
    --------
    >>> import reprokit as rk
    >>> @rk.cache
    ... def double(x):
    ...     return 2 * x
    >>> rk.why(double, 4)
    double: would not be given again
      no run of double is recorded
    """
    from reprokit.capture.opened.hook import quietly

    asked = _asked(function, args, kwargs)
    answer: Why = quietly(_answer)(asked)
    return answer


# --- what is asked -----------------------------------------------------------------------------------------------------


def _asked(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Asked:
    """Find the stack, and the call as it would get it, by what binds the call itself."""
    found = function
    while isinstance(found, functools.partial):
        args, kwargs = (*found.args, *args), {**found.keywords, **kwargs}
        found = found.func
    bound: list[_Asked] = []

    def take(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        bound.append(_Asked(stack, instance, args, kwargs))

    owner: Any = None
    instance: Any = None
    if isinstance(found, wrapt.BoundFunctionWrapper) and isinstance(found._self_parent, RunWrapper):
        instance = found._self_instance
        owner = getattr(found, "_self_owner", None) or getattr(found.__wrapped__, "__self__", None) or type(instance)
        found = found._self_parent
    while found is not None and not isinstance(found, RunWrapper):  # decorators of others lie around ours
        found = getattr(found, "__dict__", {}).get("__wrapped__")
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or type(function).__name__
    if found is None or not found._self_stack.may_reuse:
        raise TypeError(f"why({name}, ...): no result of {name} is ever used again; {_REMEDY}")
    stack = found._self_stack
    if "generator" in stack.shape:
        raise TypeError(f"why({name}, ...): {name} is a generator function, and those are always called; return a list")
    twin: Any = wrapt.FunctionWrapper(found.__wrapped__, take)
    wrapper = twin if owner is None else twin.__get__(instance, owner)
    wrapper(*args, **kwargs)
    return bound[0]


# --- the answer --------------------------------------------------------------------------------------------------------


def _answer(asked: _Asked) -> Why:
    from reprokit.catalog.why import Why
    from reprokit.decorators import drive
    from reprokit.errors import DirtyRepositoryError
    from reprokit.recorder import start
    from reprokit.recorder.reuse import call

    plan = asked.stack.whole
    subject = drive._subject(asked.stack, asked.instance)
    if subject.signature is not None:
        # A TypeError here is the one that the call itself would raise.
        subject.signature.bind(*asked.args, **asked.kwargs)
    project = start.project_at(start.place())
    if not start.wants_reuse(plan, project):
        return Why(hit=False, what=subject.name, reasons=(_unwanted(subject.name, plan, project),))
    made = call.question(plan, subject, drive._bound(asked.instance))
    try:
        made.ask(asked.args, asked.kwargs)
    except DirtyRepositoryError as error:
        return _refused(made, asked, error)
    if made.refused is not None:
        return Why(hit=False, what=subject.name, reasons=(f"it is called each time: {made.refused}",))
    if made.hit is not None:
        return _of_entry(made, made.hit.entry, ())
    if made.misses:
        entry, against = min(made.misses, key=lambda miss: len(miss[1]))  # of several, the newest: it comes first
        return _of_entry(made, entry, tuple(dict.fromkeys(against)))
    return _compared(made, asked)


def _unwanted(name: str, plan: Plan, project: Project) -> str:
    """Say why nobody looks for an earlier result."""
    from reprokit.catalog.why import compare

    if not project.settings.reuse:
        return compare.OFF
    if project.elsewhere is not None:
        return f"on {project.elsewhere}, which is not where the project lies, results are not looked for"
    if plan.reuse.asked or project.settings.exists == "reuse":
        return "what is reproduced is called in any case"
    raise TypeError(f"why({name}, ...): no result of {name} is ever used again; {_REMEDY}")


def _of_entry(made: Attempt, entry: ReuseEntry, reasons: tuple[str, ...]) -> Why:
    """Answer by a result that has the right key."""
    from reprokit.catalog.index import ask
    from reprokit.catalog.why import Why, earlier

    started = ask(made.project.vault.path, lambda index: earlier.started(index, entry.run_id))
    return Why(
        hit=not reasons,
        what=made.subject.name,
        reasons=reasons,
        run_id=entry.run_id,
        started=started,
        seconds=entry.seconds,
    )


def _refused(made: Attempt, asked: _Asked, error: DirtyRepositoryError) -> Why:
    """Answer for a call that a dirty repository stops: it is told what differs all the same."""
    import msgspec

    from reprokit.catalog.why import Why
    from reprokit.catalog.why.compare import SAME
    from reprokit.recorder import opening
    from reprokit.recorder.faults import Faults
    from reprokit.recorder.reuse import key
    from reprokit.recorder.reuse.arguments import Refused

    faults = Faults(strict=False, redactor=made.project.redactor)
    hashes = [opening.configured(one, made.subject, asked.args, asked.kwargs)[1] for one in made.plan.artifacts]
    told = f"the call is refused: {error}"
    try:
        made.key = key.key_of(
            made.plan, made.subject, made.instance, asked.args, asked.kwargs, hashes, made.project, faults
        )
    except Refused as refused:
        return Why(hit=False, what=made.subject.name, reasons=(told, f"it is called each time: {refused}"))
    found = _compared(made, asked)
    return msgspec.structs.replace(found, reasons=(told, *(one for one in found.reasons if one != SAME)))


def _compared(made: Attempt, asked: _Asked) -> Why:
    """Answer by the nearest earlier run."""
    from reprokit.catalog.index import ask
    from reprokit.catalog.why import attempted, compare

    call = attempted.call(made, asked.args, asked.kwargs)
    vault = made.project.vault.path
    found = ask(vault, lambda index: compare.nearest(index, call)) if vault.is_dir() else None
    return compare.answer(call, found, lambda entry, others: attempted.inputs(made, entry, others), vault)
