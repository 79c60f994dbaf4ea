"""Arguments and return values as archives in the run's folder, when the decorator asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.model.redact import Redactor
    from reprokit.recorder.faults import Faults
    from reprokit.recorder.plan import Subject

ARGS, RETURN_VALUE, INSTANCE = "args", "return_value", "instance"
_LARGE = 100  # elements from which an array goes to a data file


def keep_args(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    subject: Subject,
    folder: Path,
    prefix: str,
    redactor: Redactor,
    faults: Faults,
) -> tuple[str | None, bool]:
    """Archive the arguments of a call as ``args`` and ``kwargs``, a method's instance as ``instance``.

    Gives the archive's name, and whether the instance is in it.  An argument that is a secret by its name is left out, as None or altogether; so is an instance that no archive can hold.
    """
    names = {index: name for name, index in subject.positions.items()}
    shown = tuple(None if redactor.is_secret_name(names.get(n, "")) else value for n, value in enumerate(args))
    named = {name: value for name, value in kwargs.items() if not redactor.is_secret_name(name)}
    items: dict[str, Any] = {"args": shown, "kwargs": named}
    bound = subject.instance is not None and _fits(subject.instance)
    if bound:
        items[INSTANCE] = subject.instance
    name = _keep(items, folder, prefix + ARGS, "the arguments", redactor, faults)
    return name, bound and name is not None


def _fits(instance: Any) -> bool:
    from reprokit.archive import Archive
    from reprokit.errors import ReprokitError

    archive = Archive(array_threshold=_LARGE)
    try:
        archive.insert(**{INSTANCE: instance})
        str(archive)
    except (ReprokitError, ValueError, TypeError):
        return False
    return True


def keep_return_value(result: Any, folder: Path, prefix: str, redactor: Redactor, faults: Faults) -> str | None:
    """Archive a return value as ``value``; give the archive's name.  None needs no archive."""
    if result is None:
        return None
    return _keep({"value": result}, folder, prefix + RETURN_VALUE, "the return value", redactor, faults)


def _keep(items: dict[str, Any], folder: Path, name: str, what: str, redactor: Redactor, faults: Faults) -> str | None:
    from reprokit.archive import Archive

    with faults.at(what):
        archive = Archive(array_threshold=_LARGE)
        archive.insert(**items)
        source = str(archive)
        if redactor.text(source)[0] != source:
            faults.add(what, "what looks like a secret is in it, so no archive was made")
            return None
        archive.save(folder, name)
        return name
    return None
