"""What became of files, by the interpreter's audit events: which were read, which were written, and what they held before.

An audit event comes *before* what it tells of.  So what a file holds can still be looked at when it is about to be
overwritten, and whether the act succeeds is not known: at the end, `Seen` is compared with what is there.
"""

from __future__ import annotations

import os
import stat as modes
import sys
from time import time_ns

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing takes longer than all of this
    from collections.abc import Callable
    from typing import Any

    Stamp = tuple[int, int, int]  # size, mtime in ns, inode
    Digest = Callable[[str], tuple[str, int]]

LIMIT = 10_000  # files
_SEP = os.sep
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_TRUNC, _EXCL = os.O_TRUNC, os.O_EXCL
_FOLDER = getattr(os, "O_DIRECTORY", 0)  # O_TMPFILE, a file without a name, has this bit as well
_RACY = 20_000_000  # ns within which two writes may get one time

_UPDATE = os.O_RDWR | os.O_CREAT
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class Seen:
    """What became of one file.

    Attributes
    ----------
    read : tuple or None
        Stamp of the file when what it held before the run was opened for reading first.
    digest : tuple or None
        Digest and size of that, where it had to be taken before the file was changed.
    trouble : str or None
        Why it could not be taken.
    written : bool
        Whether it was opened for writing, or something was renamed to it.
    before : tuple or None
        Stamp of what stood there before that.
    kept : bool
        Whether what stood there was to stay, as in modes "a" and "r+".
    mapped : bool
        Whether it may have been written through memory, which leaves no trace in the stamp on some file systems.
    log : bool
        Whether it was only appended to: what stood there was not looked at.
    """

    __slots__ = ("before", "digest", "kept", "log", "mapped", "read", "trouble", "written")

    def __init__(self) -> None:
        self.read: Stamp | None = None
        self.digest: tuple[str, int] | None = None
        self.trouble: str | None = None
        self.written = False
        self.before: Stamp | None = None
        self.kept = self.mapped = self.log = False


def stamp(path: str) -> Stamp | None:
    """Give what tells that a file was not changed; None when it is no regular file, or not there."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    if not modes.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


class Listener:
    """Turns audit events into `files`.

    Nothing is locked, for an event may come anywhere, also inside a signal handler or the garbage collector; each step is
    one operation on a dict.

    Parameters
    ----------
    outside
        Folders, each with a separator at its end, whose files are none of a run's: those of the interpreter.
    digest
        Gives digest and size of a file.
    log
        Is told of each change of `files`, in a process that may end without a word.
    """

    def __init__(
        self, outside: tuple[str, ...], digest: Digest, log: Callable[[list[Any]], None] | None = None
    ) -> None:
        self.files: dict[str, Seen] = {}
        self.more = 0  # files beyond LIMIT
        self.log = log
        self._outside = outside
        self._digest = digest
        self._prune_at = 0

    def heard(self, event: str, args: tuple[Any, ...]) -> str | None:
        """Take in an audit event; give the path of a file that will be changed."""
        if event == "open":
            path, mode, flags = args
            if flags == 0 and mode == "rb":  # io.open_code: an import
                return None
            return self.opened(path, flags, mapped=True)
        if event == "os.rename":
            source, target, *folders = args
            return None if any(f != -1 for f in folders) else self.moved(source, target)
        if event == "os.remove":
            path, folder = args
            gone = None if folder != -1 else self._absolute(path)
            if gone is not None:
                self.before_change(gone)
            return gone
        if event == "os.truncate":
            return self.opened(args[0], _UPDATE)
        if event == "os.link":
            source, target, *folders = args
            return None if any(f != -1 for f in folders) else self.opened(target, _NEW)
        if event == "sqlite3.connect":
            return self.opened(*database(args[0]))
        return None

    def opened(self, given: Any, flags: int | None, *, mapped: bool = False) -> str | None:
        """Take in that a file is about to be opened; give its path when that is for writing.  None: it was written."""
        path = self._absolute(given)
        if path is None:
            return None
        if flags is None:
            self._change(path, None)
            return None
        if flags & _FOLDER:
            return None
        seen = self.files.get(path)
        if not flags & _WRITES:
            if seen is not None:
                seen.log = False
            if seen is not None and (seen.read is not None or seen.written):
                return None
            now = stamp(path)
            if now is not None:
                seen = self._entry(path)
                if seen is not None:
                    seen.read = now
                    self._say("read", path, now)
            else:
                self.missed(path)
            return None
        log = bool(flags & os.O_APPEND) and not flags & os.O_RDWR
        if seen is not None and seen.written:
            seen.mapped = seen.mapped or mapped
            seen.log = seen.log and log
            return path
        now = stamp(path)
        if now is None:
            if os.path.lexists(path) and (os.path.isdir(path) or os.path.exists(path)):  # a folder, a device
                return None
        elif flags & _EXCL:
            return None  # it will be refused
        kept = now is not None and now[0] > 0 and not flags & _TRUNC
        log = log and (seen is None or seen.read is None)
        self._change(path, now, kept=kept, mapped=mapped and bool(flags & os.O_RDWR))
        seen = self.files.get(path)
        if seen is not None:
            seen.log = log
        return path

    def missed(self, path: str) -> None:
        """Take in that something is about to be read that is no regular file, or not there."""

    def moved(self, given: Any, onto: Any) -> str | None:
        """Take in that a file or folder is about to be renamed; give the new path."""
        source, target = self._absolute(given), self._absolute(onto)
        if source is not None:
            self.before_change(source)
        if target is None or source == target:
            return target
        if source is not None and os.path.isdir(source) and not os.path.islink(source):
            begin = source + _SEP
            for path, seen in list(self.files.items()):
                if seen.written and path.startswith(begin):
                    inner = os.path.join(target, path[len(begin) :])
                    self._change(inner, stamp(inner))
            return target
        self._change(target, stamp(target))
        return target

    def before_change(self, path: str) -> None:
        """Take the digest of what was read earlier, before it is gone."""
        seen = self.files.get(path)
        if seen is None or seen.read is None or seen.digest is not None or seen.trouble is not None or seen.written:
            return
        self._take(path, seen)
        self._say("held", path, seen.digest, seen.trouble)

    def replay(self, act: str, path: str, *facts: Any) -> None:
        """Take in what another process's log tells; it calls this in the order of time."""
        seen = self._entry(path)
        if seen is None:
            return
        if act == "read" and seen.read is None and not seen.written:
            seen.read = tuple(facts[0])
        elif act == "held" and seen.read is not None and seen.digest is None:
            seen.digest, seen.trouble = tuple(facts[0]) if facts[0] else None, facts[1]
        elif act == "written" and not seen.written:
            before, seen.kept, seen.mapped, read, digest, seen.trouble = facts
            seen.written, seen.before = True, tuple(before) if before else None
            if seen.read is None and read:
                seen.read = tuple(read)
            seen.digest = seen.digest or (tuple(digest) if digest else None)

    # ---------------------------------------------------------------------------------------------------------------

    def _absolute(self, given: Any) -> str | None:
        """Give the path that is meant, None for what is no path or lies outside."""
        if type(given) is not str:
            if isinstance(given, int) or given is None:  # a file descriptor: it was opened by name before, or is a pipe
                return None
            given = os.fsdecode(given)
        path: str = given
        if path[:1] != _SEP or "/." in path or "//" in path:
            path = os.path.abspath(path)
        return None if path.startswith(self._outside) or "\0" in path else path

    def _entry(self, path: str) -> Seen | None:
        seen = self.files.get(path)
        if seen is None:
            if len(self.files) >= LIMIT and not self._pruned():
                self.more += 1
                return None
            seen = self.files[path] = Seen()
        return seen

    def _pruned(self) -> bool:
        """Forget files that were made and removed again, when there are too many; not at each file that comes then."""
        if self.more < self._prune_at:
            return False
        for path, seen in list(self.files.items()):
            if seen.read is None and not os.path.lexists(path):
                del self.files[path]
        if len(self.files) > LIMIT * 0.9:
            self._prune_at = self.more + LIMIT // 10
        return len(self.files) < LIMIT

    def _change(self, path: str, now: Stamp | None, *, kept: bool = False, mapped: bool = False) -> None:
        seen = self._entry(path)
        if seen is None or seen.written:
            return
        if now is not None and time_ns() - now[1] < _RACY:  # a stamp this young may stay the same
            mapped = mapped or kept
            seen.before = None
        else:
            seen.before = now
        if kept and seen.read is None:
            seen.read = now
        if seen.read is not None and seen.digest is None and seen.trouble is None:
            self._take(path, seen)
        seen.kept, seen.mapped, seen.written = kept, mapped, True
        self._say("written", path, seen.before, kept, mapped, seen.read, seen.digest, seen.trouble)

    def _take(self, path: str, seen: Seen) -> None:
        if stamp(path) != seen.read:
            seen.trouble = "it was changed after it had been read, in a way that could not be seen"
            return
        try:
            seen.digest = self._digest(path)
        except OSError as error:
            seen.trouble = error.strerror or type(error).__name__

    def _say(self, act: str, path: str, *facts: Any) -> None:
        if self.log is not None:
            self.log([time_ns(), act, path, *facts])


def database(given: Any) -> tuple[Any, int]:
    """Give path and flags of what ``sqlite3.connect`` is given; a path of None for one in memory."""
    text = os.fsdecode(given)
    if text in ("", ":memory:"):
        return None, 0
    if not text.startswith("file:"):
        return text, _UPDATE
    from urllib.parse import parse_qs, unquote

    path, _, query = text[5:].partition("#")[0].partition("?")
    options = {name: values[-1] for name, values in parse_qs(query).items()}
    if path.startswith("//"):
        path = "/" + path[2:].partition("/")[2]
    mode = options.get("mode")
    if mode == "memory" or options.get("vfs") == "memdb" or path in ("", ":memory:"):
        return None, 0
    reads = mode == "ro" or options.get("immutable") in ("1", "true", "yes", "on")
    return unquote(path), os.O_RDONLY if reads else _UPDATE


def interpreter() -> tuple[str, ...]:
    """Give the folders of this interpreter and of what is installed for it, each with a separator at its end."""
    shared = {"", "/usr", "/usr/local", "/opt"}  # much else lies there
    homes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, os.path.dirname(os.__file__)}
    homes |= {path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages", "lib-dynload")}
    homes |= {os.path.realpath(path) for path in homes}
    found = {os.path.abspath(path).rstrip(_SEP) for path in homes} - shared
    return tuple(sorted(path + _SEP for path in found | {"/proc", "/sys", "/dev"}))


class Log:
    """Tells a folder what one process sees, a line at a time: the process may end without a word.

    The file is opened for each line, for a program that closes all its descriptors would have us write into another file.

    Parameters
    ----------
    begin
        The file's path without its end.
    """

    def __init__(self, begin: str) -> None:
        self._begin = begin
        self._pid = 0
        self._path = ""

    def tell(self, facts: list[Any]) -> None:
        """Append a line; raises ``OSError``."""
        if self._pid != os.getpid():  # first, or after a fork
            self._pid = os.getpid()
            self._path = f"{self._begin}{self._pid}-{os.urandom(4).hex()}.jsonl"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, (_json(facts) + "\n").encode("ascii"))
        finally:
            os.close(descriptor)


def _json(value: Any) -> str:
    """Write JSON; importing json takes longer than all that a short process has to tell."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_json, value)) + "]"
    text = str(value)
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return '"' + text + '"'
    units = text.encode("utf-16-be", "surrogatepass")
    return '"' + "".join("\\u" + units[i : i + 2].hex() for i in range(0, len(units), 2)) + '"'
