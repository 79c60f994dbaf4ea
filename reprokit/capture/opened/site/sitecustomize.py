"""Has an interpreter that a monitored command starts tell which files it opens; found through ``PYTHONPATH``.

Whatever goes wrong here, the program runs as it would without.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing takes longer than all of this
    from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))
_VARIABLE = "REPROKIT_OPENED"  # beginning of the path of this process's log
_EVENTS = frozenset(("open", "os.rename", "os.remove", "os.truncate", "os.link", "sqlite3.connect"))


def _begin() -> None:
    begin = os.environ.get(_VARIABLE)
    if not begin:
        return
    import atexit

    import reprokit_adapters  # type: ignore[import-not-found,unused-ignore]
    import reprokit_opened  # type: ignore[import-not-found,unused-ignore]

    log = reprokit_opened.Log(begin)
    outside = (*reprokit_opened.interpreter(), os.path.dirname(begin) + os.sep, _HERE + os.sep)
    inside = os.path.abspath("") + os.sep
    outside = tuple(folder for folder in outside if not inside.startswith(folder))
    listener = reprokit_opened.Listener(outside, _digest, log.tell)
    script = getattr(sys, "argv", [""])[0]  # its module will have lost its name when `end` comes
    log.tell([0, "process", sys.version.split()[0], os.path.abspath(script)])
    faults: list[str] = []

    def failed(event: str, error: Exception) -> None:
        if len(faults) < 10:
            faults.append(event)
            try:
                log.tell([0, "fault", f"{event}: {type(error).__name__}: {error}"])
            except Exception:  # noqa: BLE001 - the disk may be full; there is nobody left to tell
                return

    def hook(event: str, args: Any) -> None:
        if event in _EVENTS and not _is_ours():
            try:
                listener.heard(event, args)
            except Exception as error:
                if _came_from_outside(error):
                    raise
                failed(event, error)

    def tell(path: Any, flags: int | None) -> None:
        if not _is_ours():
            listener.opened(path, flags)

    def end() -> None:
        modules = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        code = [path for path in modules if isinstance(path, str) and path in listener.files]
        if code or listener.more:
            log.tell([0, "end", code, listener.more])

    sys.addaudithook(hook)
    reprokit_adapters.install(tell, lambda text: log.tell([0, "fault", text]))
    atexit.register(end)


def _digest(path: str) -> tuple[str, int]:
    import hashlib

    state, size = hashlib.sha256(), 0
    with open(path, "rb", buffering=0) as stream:
        while True:
            block = stream.read(1 << 20)
            if not block:
                return "sha256:" + state.hexdigest(), size
            state.update(block)
            size += len(block)


def _is_ours() -> bool:
    """Tell whether reprokit itself, used by the program, is at work in this thread."""
    hook = sys.modules.get("reprokit.capture.opened.hook")
    return hook is not None and hasattr(hook, "is_quiet") and hook.is_quiet()


def _came_from_outside(error: Exception) -> bool:
    trace = error.__traceback__
    standard = os.path.dirname(os.__file__)
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith((_HERE, standard, "<frozen")):
            return True
        trace = trace.tb_next
    return False


def _chain() -> None:
    """Run the sitecustomize that would have run without this one; its errors are reported as ever."""
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None and os.path.dirname(os.path.abspath(spec.origin or "")) != _HERE:
        from importlib.util import module_from_spec

        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


try:
    _begin()
except Exception:  # noqa: BLE001, S110 - no program may fail for being looked at
    pass
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]
_chain()
