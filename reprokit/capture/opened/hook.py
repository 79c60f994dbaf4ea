"""One audit hook for the process: it finds the run that an event belongs to, and costs next to nothing while no run asks.

A file belongs to the innermost open run that asks for files, by the context of the code that opens it.  Threads that such
code starts belong to the same run; threads that were there before carry no context, and what they open belongs to none.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from reprokit.capture.opened.site.reprokit_opened import LIMIT, Listener, Log, interpreter
from reprokit.context import peek

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from reprokit.context import Context

P = ParamSpec("P")
R = TypeVar("R")

_LISTINGS = frozenset(("os.listdir", "os.scandir"))
_EVENTS = frozenset(("open", "os.rename", "os.remove", "os.truncate", "os.link", "sqlite3.connect")) | _LISTINGS
_IMPORTING = "<frozen importlib"
_OURS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
_STANDARD = os.path.dirname(os.__file__) + os.sep

_watches: dict[str, Watch] = {}  # by run id; empty: nothing is looked at
_installed = False
_here = threading.local()  # `quiet`: how many of our own acts are under way in this thread


class Watch(Listener):
    """What one run opens.

    Parameters
    ----------
    run_id
        Of the run.
    root
        The project root.
    digest
        Gives digest and size of a file.
    log_path
        Where processes that the run forks tell what they open, without the end of the name; None: nowhere.
    lists
        Whether it also wants to know which folders are listed, and which files are looked for in vain.

    Attributes
    ----------
    listed : dict
        Folder -> the names in it when it was listed first.
    absent : set of str
        Files that were to be read and were not there.
    """

    def __init__(
        self,
        run_id: str,
        root: Path,
        digest: Callable[[str], tuple[str, int]],
        log_path: str | None = None,
        *,
        lists: bool = False,
    ) -> None:
        inside = str(root) + os.sep
        super().__init__((*(f for f in interpreter() if not inside.startswith(f)), _OURS), digest)
        self.run_id = run_id
        self.log_path = log_path
        self.faults: list[str] = []
        self.named: set[str] = set()  # outputs of runs inside this one
        self.lists = lists
        self.listed: dict[str, list[str]] = {}
        self.absent: set[str] = set()

    def missed(self, path: str) -> None:
        """Tell all runs around that want to know it that a file is looked for, if it is not there."""
        if os.path.lexists(path):
            return
        for watch in _listening():
            if path not in watch.files and len(watch.absent) < LIMIT:
                watch.absent.add(path)

    def take_listing(self, given: Any) -> None:
        """Take in that a folder is about to be listed."""
        path = self._absolute("." if given is None else given)
        if path is None or path in self.listed or len(self.listed) >= LIMIT:
            return
        try:
            self.listed[path] = quietly(os.listdir)(path)
        except OSError:  # the listing will fail as well
            return


def start(watch: Watch) -> None:
    """Begin to look at what a run opens."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_hook)
        _mark_threads()
    from reprokit.capture.opened.site import reprokit_adapters

    reprokit_adapters.install(tell, complain)
    _watches[watch.run_id] = watch


def stop(watch: Watch) -> None:
    """End that."""
    _watches.pop(watch.run_id, None)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watches and event in _EVENTS:
        _hear(event, args)


def _hear(event: str, args: tuple[Any, ...]) -> None:
    watch: Watch | None = None
    try:
        if is_quiet():
            return
        if event in _LISTINGS:
            _listing(args[0])
            return
        watch = _mine()
        if watch is None:
            return
        _changing(watch, watch.heard(event, args))
    except Exception as error:
        if _came_from_outside(error):  # a signal handler, such as one that ends a time limit
            raise
        if watch is not None and len(watch.faults) < 10:
            watch.faults.append(f"{event}: {type(error).__name__}: {error}")


def _listing(path: Any) -> None:
    """Tell all runs around that want to know it, but for what an import lists."""
    if not any(watch.lists for watch in list(_watches.values())):
        return
    if not sys._getframe(3).f_code.co_filename.startswith(_IMPORTING):
        for watch in _listening():
            watch.take_listing(path)


def _listening() -> Iterator[Watch]:
    """Give the watches of the runs around that want to know what was looked for."""
    context = peek()
    while context is not None:
        watch = _watches.get(context.run_id)
        if watch is not None and watch.lists:
            yield watch
        context = context.parent


def tell(path: Any, flags: int | None) -> None:
    """Take in what an adapter tells: `path` is about to be opened, as with these flags of `os.open` (None: it was written)."""
    if not _watches or is_quiet():
        return
    watch = _mine()
    if watch is not None:
        _changing(watch, watch.opened(path, flags))


def complain(text: str) -> None:
    """Keep a sentence of an adapter that can't see what its library does."""
    watch = _mine()
    if watch is not None and text not in watch.faults:
        watch.faults.append(text)


def _changing(watch: Watch, path: str | None) -> None:
    """Let other runs take the digest of what they have read, before this one changes it."""
    if path is not None and len(_watches) > 1:
        for other in list(_watches.values()):
            if other is not watch:
                other.before_change(path)


def _mine() -> Watch | None:
    context = peek()
    if context is None:
        # current_thread() would make an entry for a thread that Python did not start.
        thread = getattr(threading, "_active", {}).get(threading.get_ident())
        inherited = getattr(thread, "_reprokit_run", None)
        return _watches.get(inherited) if inherited is not None else None
    return _asked(context)


def _asked(context: Context | None) -> Watch | None:
    while context is not None:
        watch = _watches.get(context.run_id)
        if watch is not None:
            return watch
        context = context.parent
    return None


def _mark_threads() -> None:
    """Have threads that a run starts belong to it, though they carry no context.  (Only Python 3.12 has an event for it.)"""
    start = threading.Thread.start

    @functools.wraps(start)
    def marked(thread: threading.Thread) -> None:
        if _watches and not is_quiet():
            watch = _mine()
            if watch is not None:
                thread._reprokit_run = watch.run_id  # type: ignore[attr-defined]
        start(thread)

    threading.Thread.start = marked  # type: ignore[method-assign,assignment]


def _came_from_outside(error: BaseException) -> bool:
    trace = error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not name.startswith((_OURS, _STANDARD, "<frozen")):
            return True
        trace = trace.tb_next
    return False


def quietly(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function of ours whose own files are none of a run's."""

    @functools.wraps(function)
    def quiet(*args: P.args, **kwargs: P.kwargs) -> R:
        before = getattr(_here, "quiet", 0)
        _here.quiet = before + 1
        try:
            return function(*args, **kwargs)
        finally:
            _here.quiet = before

    return quiet


def is_quiet() -> bool:
    """Tell whether what this thread opens right now is ours."""
    return bool(getattr(_here, "quiet", 0))


def leave_to(context: Context | None, paths: list[str]) -> None:
    """Tell the runs around one that these files are its own: it has named them, or seen them itself."""
    while context is not None:
        watch = _watches.get(context.run_id)
        if watch is not None:
            watch.named.update(paths)
        context = context.parent


def _in_forked_child() -> None:
    """Go on in a forked process, which tells what it sees through a file of its own."""
    global _here
    _here = threading.local()
    if not _watches:
        return
    for run_id, watch in list(_watches.items()):
        if watch.log_path is None:
            del _watches[run_id]
        else:
            watch.log = Log(watch.log_path).tell


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
