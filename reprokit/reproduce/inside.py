"""Repeating a function in this process: its code is imported apart, beside today's."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from reprokit.errors import ReproduceError
from reprokit.reproduce import entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from reprokit.reproduce.entry import Spec
    from reprokit.reproduce.plan import Plan


def call(plan: Plan, spec: Spec, cwd: Path, environ: Mapping[str, str]) -> tuple[int, str]:
    """Call the recorded function; give an exit code and what it raised, as a process would have told.

    Raises
    ------
    ReproduceError
        When it is no function of a module, or its code was not kept.
    """
    if spec.call.mode != "function" or spec.call.file is not None:
        raise ReproduceError(f"run {plan.run.run_id[:8]}", "is no call of a module's function; leave out --in-process")
    from reprokit.catalog import kept

    face = kept.open_code(plan.run.run_id, plan.vault)
    module, _, qualname = spec.call.target.partition(":")
    with _surroundings(cwd, environ):
        try:
            found: Any = face
            for name in module.split("."):
                found = getattr(found, name)
            entry.invoke(found, qualname, spec)
        except Exception as error:  # noqa: BLE001 - it belongs to the run, whose record tells it
            return 1, f"{type(error).__name__}: {error}"
    return 0, ""


@contextlib.contextmanager
def _surroundings(cwd: Path, environ: Mapping[str, str]) -> Iterator[None]:
    """Stand in another folder with other variables; they are the process's, so no other thread should run meanwhile."""
    before, home = dict(os.environ), os.getcwd()
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(cwd)
    try:
        yield
    finally:
        os.chdir(home)
        os.environ.clear()
        os.environ.update(before)
