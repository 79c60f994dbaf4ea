"""The process in which a run is repeated: ``python -m reprokit.reproduce.entry SPEC``, started in the fresh folder."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from reprokit.recorder.replayed import ALONE
from reprokit.reproduce.call import Call

_EVENTS = {
    "os.remove": (0,), "os.rename": (0, 1), "os.rmdir": (0,), "os.mkdir": (0,), "os.truncate": (0,), "os.link": (1,),
    "os.symlink": (1,), "os.chmod": (0,), "os.chown": (0,), "os.utime": (0,), "shutil.rmtree": (0,),
}  # fmt: skip
_PR_SET_PDEATHSIG = 1  # prctl(2)
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """What to do in this process.

    Attributes
    ----------
    python_path : list of str
        Folders that modules are imported from, before those of the interpreter.
    protected : str
        The user's project: nothing may be written there.
    vault : str
        But here.
    moved : str
        Folder that stands for it: paths in arguments lead there.
    parent : int
        Number of the process that waits for this one.
    """

    call: Call
    python_path: list[str]
    protected: str
    vault: str
    moved: str
    parent: int


def main(path: str) -> None:
    """Run what the spec in a file says."""
    spec = msgspec.json.decode(Path(path).read_bytes(), type=Spec)
    _end_with(spec.parent)
    if spec.protected:
        _protect(spec)
    del sys.path[0]  # the folder that -m put there
    call = spec.call
    if call.mode == "command":
        _command(call)
    elif call.mode == "function":
        sys.path[:0] = spec.python_path
        _function(spec)
    else:
        _as_started(call)


def _end_with(parent: int) -> None:
    """Ask the kernel to end this process as well when the one that compares is killed; else it would go on unseen."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes
    import signal

    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)


def _as_started(call: Call) -> None:
    """Do what the interpreter does with a script, ``-m`` or ``-c``."""
    import runpy

    if call.mode == "code":
        sys.path.insert(0, "")
        sys.argv = ["-c", *call.argv]
        import types

        module = types.ModuleType("__main__")
        module.__dict__["__builtins__"] = __builtins__
        sys.modules["__main__"] = module
        exec(compile(call.target, "<string>", "exec"), module.__dict__)  # noqa: S102 - reproducing is running
    elif call.mode == "module":
        sys.path.insert(0, os.getcwd())
        sys.argv = [call.target, *call.argv]
        runpy.run_module(call.target, run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, os.path.dirname(os.path.abspath(call.target)))
        sys.argv = [call.target, *call.argv]
        runpy.run_path(call.target, run_name="__main__")


def _function(spec: Spec) -> None:
    module_name, _, qualname = spec.call.target.partition(":")
    file = spec.call.file
    invoke(importlib.import_module(module_name) if file is None else _main(spec, file), qualname, spec)


def invoke(module: Any, qualname: str, spec: Spec) -> None:
    """Call a function of a module with the recorded arguments, and run to its end what that gives."""
    args, kwargs, instance = _arguments(spec)
    found: Any = module
    if instance is not None:
        found = getattr(instance, qualname.rpartition(".")[2])
    else:
        for name in qualname.split("."):
            found = getattr(found, name)
    result = found(*args, **kwargs)
    if hasattr(result, "__await__"):
        import asyncio

        asyncio.run(_awaited(result))
    elif hasattr(result, "__anext__"):
        import asyncio

        asyncio.run(_drained(result))
    elif hasattr(result, "__next__"):
        for _ in result:
            pass


async def _awaited(result: Any) -> None:
    await result


async def _drained(result: Any) -> None:
    async for _ in result:
        pass


def _main(spec: Spec, file: str) -> Any:
    """Run the definitions of notebook cells, or a script but for what it does when it is started itself."""
    import runpy
    import types

    path = os.path.join(spec.moved, file)  # an absolute one stays
    sys.path.insert(0, os.path.dirname(path) if path != file else os.getcwd())
    name = ALONE if path != file else "__main__"
    module = types.ModuleType(name)
    module.__dict__.update(runpy.run_path(path, run_name=name))
    sys.modules[name] = module
    return module


def _arguments(spec: Spec) -> tuple[list[Any], dict[str, Any], Any]:
    call = spec.call
    args, kwargs, instance = list(call.args), dict(call.kwargs), None
    if call.archive is not None:
        from reprokit.archive import Archive

        items = Archive.load(call.archive, trust=True)
        args, kwargs = list(items["args"]), dict(items["kwargs"])
        instance = items.get("instance")
    return [_moved(one, spec) for one in args], {name: _moved(one, spec) for name, one in kwargs.items()}, instance


def _moved(value: Any, spec: Spec) -> Any:
    """Lead a path in the user's project to the folder that stands for it."""
    if isinstance(value, (str, Path)) and _below(str(value), spec.protected):
        return type(value)(spec.moved + str(value)[len(spec.protected) :])
    if type(value) is list:
        return [_moved(one, spec) for one in value]
    if type(value) is tuple:
        return tuple(_moved(one, spec) for one in value)
    if type(value) is dict:
        return {name: _moved(one, spec) for name, one in value.items()}
    return value


def _command(call: Call) -> None:
    from reprokit.recorder.command import run_command
    from reprokit.recorder.plan import ArtifactSpec, MonitorSpec, Plan, SnapshotSpec

    config = msgspec.json.decode(call.config) if call.config is not None else None
    plan = Plan(
        artifacts=(ArtifactSpec(config=config, allow_dirty=True),),
        monitor=MonitorSpec(items=tuple(call.items), files="auto"),
        snapshot=SnapshotSpec(),
    )
    sys.exit(run_command(plan, call.argv, call.artifacts))


def _protect(spec: Spec) -> None:
    """Refuse to write in the user's project: the run that is repeated has a folder of its own for that."""

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = args
            if isinstance(flags, int) and flags & _WRITES:
                _refuse(path, spec)
        elif event in _EVENTS:
            for place in _EVENTS[event]:
                if place < len(args):
                    _refuse(args[place], spec)

    sys.addaudithook(hook)


def _refuse(path: Any, spec: Spec) -> None:
    if not isinstance(path, (str, bytes, os.PathLike)):
        return
    try:
        absolute = os.path.abspath(os.fsdecode(path))
    except (ValueError, OSError):
        return
    if _below(absolute, spec.protected) and not _below(absolute, spec.vault) and not _below(absolute, spec.moved):
        raise PermissionError(13, "a reproduction writes nothing into the project; this path is absolute", absolute)


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


if __name__ == "__main__":
    main(sys.argv[1])
