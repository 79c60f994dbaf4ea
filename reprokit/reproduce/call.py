"""How a recorded run is started once more: its function alone, its whole script, or its command."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from reprokit.recorder.interactive import FILE

if TYPE_CHECKING:
    from reprokit.catalog.diff.facts import Facts

Mode = Literal["function", "script", "module", "code", "command"]

_KERNELS = ("ipykernel_launcher", "ipykernel", "colab_kernel_launcher")
_FLAGS_WITH_VALUE = ("-X", "-W", "--check-hash-based-pycs")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What the process of a reproduction does.

    Attributes
    ----------
    mode : str
        ``function``: import `module` and call `qualname`; ``script``, ``module``, ``code``: as Python was started;
        ``command``: a monitored command.
    flags : list of str
        Of the interpreter.
    target : str
        Script, module, source text, or ``module:qualname``.
    argv : list of str
        What follows it; of a command, the whole command line.
    args, kwargs
        Of a function, when the record holds them exactly.
    archive : str or None
        Archive with the arguments.
    file : str or None
        Source of what ``__main__`` defined: kept cells (absolute), or a script in the project (relative).
    artifacts : list of str
        Of a command: arguments to be tagged.
    config : str or None
        Of a command: configuration as JSON.
    """

    mode: Mode
    flags: list[str] = []
    target: str = ""
    argv: list[str] = []
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    archive: str | None = None
    file: str | None = None
    artifacts: list[str] = []
    items: list[str] = []
    config: str | None = None

    def words(self) -> str:
        """Say in one line what is going to run."""
        if self.mode == "function":
            return f"{self.target.replace(':', '.')}(...)"
        if self.mode == "command":
            return " ".join(self.argv)
        shown = {"script": self.target, "module": f"-m {self.target}", "code": "-c ..."}[self.mode]
        return " ".join(["python", *self.flags, shown, *self.argv])


def call_of(facts: Facts, *, whole: bool = False) -> tuple[Call | None, list[str]]:
    """Find out how to start a run; give it, or None, and what stands in the way.

    A function of a module, and every child run, is called alone, with the recorded arguments.  Where those were not kept,
    and for blocks and what scripts define, the process is started as it was; with `whole` always.
    """
    record, pre = facts.call, facts.run.root.pre
    if record is None:
        return None, ["its record cannot be read, so what was called is not known"]
    if pre.kind == "command" and not facts.child:
        return _command(facts), []
    started, why = _started(pre.argv, pre.root_directory)
    alone, lacking = (None, ["only the process as a whole was asked for"]) if whole else _alone(facts)
    in_script = alone is not None and alone.file is not None and not os.path.isabs(alone.file)
    if alone is not None and not lacking and (facts.child or not in_script or started is None):
        return alone, []
    if facts.child:
        return None, lacking or ["only functions can be called apart from the run around them; repeat that one"]
    return (started, []) if started is not None else (None, [*lacking, *why])


def _command(facts: Facts) -> Call:
    pre = facts.run.root.pre
    wanted = [one.requested for one in (*facts.artifacts, *pre.artifacts) if one.requested and one.role != "used"]
    config = None
    if facts.config is not None:
        config = msgspec.json.encode(facts.config).decode()
    return Call(
        mode="command",
        argv=list(pre.command or []),
        artifacts=list(dict.fromkeys(wanted)),
        config=config,
    )


def _started(argv: list[str], root: str) -> tuple[Call | None, list[str]]:
    """Read a command line of Python as ``sys.orig_argv`` has it."""
    flags: list[str] = []
    words = argv[1:]
    while words:
        word = words.pop(0)
        if word == "-c":
            return Call(mode="code", flags=flags, target=words[0] if words else "", argv=words[1:]), []
        if word == "-m":
            name = words[0] if words else ""
            if name in _KERNELS:
                return None, ["it ran in a notebook, whose cells can't be run again as a whole"]
            return Call(mode="module", flags=flags, target=name, argv=words[1:]), []
        if word == "-":
            return None, ["its script came from standard input"]
        if word.startswith("-"):
            flags.append(word)
            if word in _FLAGS_WITH_VALUE and words:
                flags.append(words.pop(0))
            continue
        if any(kernel in os.path.basename(word) for kernel in _KERNELS):
            return None, ["it ran in a notebook, whose cells can't be run again as a whole"]
        inside = os.path.relpath(word, root) if os.path.isabs(word) and word.startswith(root + os.sep) else word
        return Call(mode="script", flags=flags, target=inside, argv=words), []
    return None, ["it was typed at a prompt"]


def _main_file(facts: Facts) -> str | None:
    """Find the source of what ``__main__`` defined: kept cells, or the script, relative to the project."""
    cells = facts.run.folder / FILE
    if cells.is_file():
        return str(cells)
    source, root = getattr(facts.call, "source_file", None), facts.run.root.pre.root_directory
    return os.path.relpath(source, root) if source and source.startswith(root + os.sep) else None


def _alone(facts: Facts) -> tuple[Call | None, list[str]]:
    """Find the function and its arguments; what is lacking otherwise."""
    record = facts.call
    assert record is not None
    if facts.run.kind != "function":
        return None, []
    label = facts.closure.function if facts.closure else None
    if label is None or ":" not in label:
        return None, ["which function it was is not recorded exactly"]
    module, _, name = label.partition(":")
    file = None
    if (facts.run.function or "").startswith("__main__."):
        file = _main_file(facts)
        if file is None:
            return None, ["it was defined at a prompt, and its source was not kept"]
        module = "__main__"
    if "<locals>" in name or "<lambda>" in name:
        return None, [f"{name} was made by another function, so it can't be called alone"]
    archive = str(facts.run.folder / record.args_archive) if record.args_archive else None
    made = Call(
        mode="function", target=f"{module}:{name}", args=record.args, kwargs=record.kwargs, archive=archive, file=file
    )
    hidden = [place for place in record.redacted if place.startswith(("args", "kwargs"))]
    if hidden:
        return made, [f"argument {place} was a secret" for place in hidden]
    if "self" in record.inexact and archive is not None:
        return made, [
            "the instance that the method was called on can't be archived: make it a dataclass, or archivable"
        ]
    if record.inexact and archive is None:
        return made, [
            f"argument {place} was not kept exactly; record with @rk.monitor(include_args=True)"
            for place in record.inexact
        ]
    return made, []
