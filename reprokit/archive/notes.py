"""The list of a data set's items: a file with one line for each, in Python's own syntax, that only grows.

::

    # reprokit/dataset/1 generation 0
    nxs = 'Particle numbers'  # item
    x_0 = (10, 1.2)  # item
    del nxs

A line gives an item's name and its note; the last line of a name holds.  ``# item`` at the end says that the item has
a module of its own (a name may have a note alone).  A note that is no literal is the source of an archive, which
holds it under the name ``note``: ``x_1 = _note('...')``.  A line counts once its line feed is there; what a writer that
died has left behind it is cut off by the next writer.  When most lines are outdated, the file is written anew, with
the next generation in its first line.
"""

from __future__ import annotations

import ast
import os
import re
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HEAD = "# reprokit/dataset/1 generation "
_HEAD_LINE = re.compile(HEAD.encode() + rb"[0-9]{1,18}\n")
TEMPORARY = ".item-"  # what the names of files begin with that are about to become another
_ITEM = "  # item"
_DEPTH = 20  # containers within containers that a literal note may have; deeper ones are archives
_PLAIN = frozenset({type(None), bool, int, str, bytes})
_BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | _BINARY  # neither pipes nor links
_LARGEST = 2**30  # bytes
_LARGEST_INT = 10**300  # Python refuses to write or read integers of more than 4,300 digits


class Notes:
    """What the file says, kept up with it by `refresh`.

    Attributes
    ----------
    lines : dict of str
        What stands behind the last ``=`` of each name, in the order in which the names came.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines: dict[str, str] = {}
        self._threads = threading.RLock()
        self._pid = os.getpid()
        self._forget()

    def _alone(self) -> threading.RLock:
        """Keep other threads out: lines that two of them took in would count twice."""
        if self._pid != os.getpid():
            self._threads, self._pid = threading.RLock(), os.getpid()  # a thread of the parent may have held it
        return self._threads

    def _forget(self) -> None:
        self.lines.clear()
        self._count = 0  # lines in the file, outdated ones too
        self._head = b""
        self._end = 0  # where the last whole line ends, bytes
        self._seen: tuple[int, int, int] | None = None

    def refresh(self, *, surely: bool = False) -> bool:
        """Read what has been added since the last time; False where there is no file.

        With `surely`, the file is opened even when its size and time look the same (a network file system may keep
        those for seconds, and asks its server when a file is opened).

        Raises
        ------
        ArchiveError
            When the file is damaged.
        """
        with self._alone():
            return self._refresh(surely=surely)

    def _refresh(self, *, surely: bool) -> bool:
        try:
            if not surely and _state(os.stat(self.path)) == self._seen:
                return True
            descriptor = os.open(self.path, _READ)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ArchiveError(self.path, f"it is no plain file that can be read: {error.strerror}") from error
        with open(descriptor, "rb") as file:
            state = _state(os.fstat(descriptor))
            if state[1] > _LARGEST:
                raise ArchiveError(self.path, f"{state[1]:,} bytes are more than any list of items has")
            head = file.readline(200)
            if not self._continues(file, head, state[1]):
                self._forget()
                if not _HEAD_LINE.fullmatch(head):
                    raise ArchiveError(self.path, f"its first line is no {HEAD.strip()!r} and a number")
                self._head, self._end = head, len(head)
                file.seek(self._end)
            added = file.read()
        try:
            self._take(added[: added.rfind(b"\n") + 1])
        except BaseException:
            self._forget()
            raise
        self._seen = state
        return True

    def _continues(self, file: BinaryIO, head: bytes, size: int) -> bool:
        """Whether the file still begins with what was read of it; goes to where that ends."""
        if head != self._head or size < self._end or not head:
            return False
        file.seek(self._end - 1)
        return file.read(1) == b"\n"

    def _take(self, added: bytes) -> None:
        lines = self.lines
        try:
            text = added.decode("utf-8")
        except UnicodeDecodeError:
            raise ArchiveError(self.path, "it isn't UTF-8") from None
        for line in text.split("\n")[:-1]:
            name, equals, rest = line.partition(" = ")
            if equals and name.isidentifier() and name[0] != "_":
                lines[name] = rest
            elif not equals and name.startswith("del "):
                lines.pop(name[4:], None)
            else:
                raise ArchiveError(self.path, f"line {self._count + 2} is no item and its note: {line[:80]!r}")
            self._count += 1
        self._end += len(added)

    def has_item(self, name: str) -> bool:
        """Whether a module is said to be there for the name, not a note alone."""
        return self.lines[name].endswith(_ITEM)

    def text(self, name: str) -> str:
        """Give the note's source."""
        return self.lines[name].removesuffix(_ITEM)

    def append(self, lines: Iterable[str], *, durable: bool = False) -> None:
        """Add lines, whole or not at all, and take them in.  The caller holds the lock and has refreshed.

        Raises
        ------
        OSError
            When the disk refuses; nothing is added then.
        """
        added = "".join(f"{line}\n" for line in lines).encode()
        with self._alone():
            self._append(added, durable=durable)

    def _append(self, added: bytes, *, durable: bool) -> None:
        if os.path.getsize(self.path) < self._end:
            raise ArchiveError(self.path, "it was cut while it was being read; open the data set anew")
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | _BINARY)
        try:
            if os.fstat(descriptor).st_size != self._end:
                os.truncate(self.path, self._end)  # half a line of a writer that died
            try:
                written = 0
                while written < len(added):
                    written += os.write(descriptor, added[written:])
                if durable:
                    os.fsync(descriptor)
            except BaseException:
                os.truncate(self.path, self._end)
                raise
            self._seen = _state(os.fstat(descriptor))
        finally:
            os.close(descriptor)
        self._take(added)

    def take_over(self, found: dict[str, tuple[str, bool]]) -> None:
        """Take what another format's list says: the source of each name's note, and whether there is an item."""
        self._forget()
        self.lines.update(
            {name: line(name, text, item=item).partition(" = ")[2] for name, (text, item) in found.items()}
        )

    def renew(self, *, force: bool = False) -> None:
        """Write the file anew when most of its lines are outdated (or with `force`).  The caller holds the lock."""
        if not force and self._count <= 2 * len(self.lines) + 1000:
            return
        generation = int(self._head.removeprefix(HEAD.encode()) or -1) + 1
        body = "".join(f"{name} = {rest}\n" for name, rest in self.lines.items())
        new = temporary(os.path.dirname(self.path))
        try:
            with open(new, "xb") as file:
                file.write(f"{HEAD}{generation}\n{body}".encode())
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self.path)
        except BaseException:
            remove(new)
            raise
        self.refresh(surely=True)


def temporary(folder: str) -> str:
    """Give a name for a file that will be renamed."""
    return os.path.join(folder, f"{TEMPORARY}{os.getpid()}-{os.urandom(4).hex()}")


def remove(path: str) -> None:
    """Remove a file if it is there and can be removed."""
    try:
        os.unlink(path)
    except OSError:
        pass


def line(name: str, text: str, *, item: bool) -> str:
    """Write the line of a name."""
    return f"{name} = {text}{_ITEM if item else ''}"


def write(note: Any, source: Callable[[Any], str]) -> str:
    """Write a note: as a literal where that gives it back exactly, else as what `source` makes of it."""
    return repr(note) if _literal(note, 0, set()) else f"_note({source(note)!r})"


def read(text: str, load: Callable[[str], Any]) -> Any:
    """Read what `write` wrote; `load` reads the source of an archive.

    Raises
    ------
    ArchiveError
        When the text is neither.
    """
    if text == "None":
        return None
    source = text.startswith("_note(") and text.endswith(")")
    try:
        value = unhurried(lambda: ast.literal_eval(text[6:-1] if source else text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ArchiveError(f"the note {text[:80]!r} is no literal: {error}") from None
    if not source:
        return value
    if not isinstance(value, str):
        raise ArchiveError(f"the note {text[:80]!r} holds no source")
    return load(value)


def unhurried(parse: Callable[[], Any]) -> Any:
    """Parse; again where another thread that parsed at the same time disturbed it.

    CPython 3.11 counts how deep a syntax tree is for all threads together, and raises SystemError when it doesn't add up.
    """
    for _ in range(100):
        try:
            return parse()
        except SystemError:
            continue
    return parse()


def _literal(value: Any, depth: int, seen: set[int]) -> bool:
    """Whether `repr` gives the value back exactly: its types, and that nothing in it is shared."""
    kind = type(value)
    if kind is float:
        return bool(-1e308 < value < 1e308)
    if kind is int:
        return bool(-_LARGEST_INT < value < _LARGEST_INT)
    if kind in _PLAIN:
        return True
    if kind not in {tuple, list, dict} or depth > _DEPTH:
        return False
    if kind is not tuple or value:
        if id(value) in seen:
            return False
        seen.add(id(value))
    parts = (part for pair in value.items() for part in pair) if kind is dict else value
    return all(_literal(part, depth + 1, seen) for part in parts)


def _state(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns
