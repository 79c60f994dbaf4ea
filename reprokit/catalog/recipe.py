"""The commands that make a run's files once more."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from reprokit.model import naming

if TYPE_CHECKING:
    from reprokit.catalog.run import Child, Run
    from reprokit.model.records import GitInfo

PLACE = "restored"


def recipe(run: Run | Child) -> list[str]:
    """Give shell commands that bring a run's code back into a new folder and start it there; empty when nothing is known.

    Each is typed in the project.  Data that the code reads from the project is not brought back, and neither are packages.
    """
    root = run.root
    started = _started(root)
    if not started:
        return []
    code = _code(run)
    if code is None:
        return []
    place = os.path.join(PLACE, _below_root(root)) if _below_root(root) else PLACE
    return [*code, f"cd {shlex.quote(place)}", started]


def _code(run: Run | Child) -> list[str] | None:
    context = run.root.context
    begin = getattr(run, "begin", None)
    snapshot = (begin.snapshot if begin else None) or (context.snapshot if context else None)
    tree = snapshot.digest.partition(":")[2][:12] if snapshot is not None else naming.tree_in(run.commit)
    if tree is not None:
        return [f"reprokit snapshot export {tree} {PLACE}"]
    if context is None or not context.git:
        return None
    info = next(iter(context.git.values()))
    if info.sha is None:
        return None
    commands = [f"git worktree add --detach {PLACE} {info.sha[:12]}"]
    if info.dirty:
        return None if info.diff is None else [*commands, _apply(run, info)]
    return commands


def _apply(run: Run | Child, info: GitInfo) -> str:
    return f"git -C {PLACE} apply {shlex.quote(str(run.folder / str(info.diff)))}"


def _started(root: Run) -> str:
    pre = root.pre
    if pre.kind == "command":
        return f"reprokit monitor -- {shlex.join(pre.command or [])}"
    argv = pre.argv
    if not argv or (len(argv) > 1 and argv[1] == "-c"):  # what was typed there is long, and no file holds it
        return ""
    return shlex.join([os.path.basename(argv[0]), *argv[1:]])


def _below_root(root: Run) -> str:
    """Where in the project it was started; an empty string at its root."""
    if root.pre.cwd is None:
        return ""
    place = os.path.relpath(root.pre.cwd, root.pre.root_directory)
    return "" if place == "." or place.startswith("..") else place
