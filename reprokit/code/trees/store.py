"""The bare repository that holds source trees: its layout, its refs, and the private indexes beside them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit import git
from reprokit.code.trees import index as index_file
from reprokit.errors import GitError

if TYPE_CHECKING:
    from collections.abc import Iterator

REFS = "refs/trees"
UPKEEP = "upkeep.held"  # in indexes/: held by who puts packs together
REMOVAL = "removal.held"  # held by who removes trees
_ATTRIBUTES = "* -text -filter -ident -working-tree-encoding -eol !diff\n"
_CONFIG = """\
[core]
\trepositoryformatversion = 1
\tbare = false
\tfilemode = true
\tcompression = 1
\tautocrlf = false
\tsafecrlf = false
\tprotectNTFS = false
\tprotectHFS = false
\tfsync = committed
[extensions]
\tobjectformat = sha256
[gc]
\tauto = 0
[pack]
\twriteReverseIndex = false
[repack]
\twriteBitmaps = false
\tupdateServerInfo = false
"""
# For stores that an earlier version made with another config.
_SWITCHES = (
    "-c", "core.protectNTFS=false",
    "-c", "core.protectHFS=false",
    "-c", "core.bigFileThreshold=64m",
    "-c", "pack.writeReverseIndex=false",
    "-c", "repack.writeBitmaps=false",
    "-c", "repack.updateServerInfo=false",
)  # fmt: skip
_WAIT = 20.0  # seconds for another process that keeps the same tree
_PATIENCE = 120.0  # seconds for another process that removes trees
_MOST_PACKS = 24  # more are put together: each costs two files, and holds no differences to objects of another
_STALE = 3600.0  # seconds after which a temporary file is of a process that was killed


class Store:
    """A bare SHA-256 repository of its own.

    Parameters
    ----------
    path
        Its folder; made by `ensure`.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))
        self.objects = self.path / "objects"
        self._inside = threading.local()  # whether this thread keeps a tree, and now one that is nested in it

    def ensure(self) -> None:
        """Make the repository when it is not there; raises `OSError`."""
        if (self.path / "HEAD").exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=".code-"))
        try:
            for folder in ("objects/pack", REFS, "refs/heads", "info", "indexes"):
                (made / folder).mkdir(parents=True)
            (made / "config").write_text(_CONFIG)
            (made / "info" / "attributes").write_text(_ATTRIBUTES)
            (made / "HEAD").write_text("ref: refs/heads/none\n")
            try:
                os.rename(made, self.path)
            except OSError:
                if not (self.path / "HEAD").exists():  # else another process was faster
                    raise
        finally:
            shutil.rmtree(made, ignore_errors=True)

    # --- git -----------------------------------------------------------------------------------------------------

    def start(
        self,
        *args: str,
        root: Path | None = None,
        index: Path | None = None,
        objects: Path | None = None,
        stdin: bytes | None = None,
        switches: tuple[str, ...] = (),
    ) -> git.Process:
        """Start git on this repository, with no config but its own; raises `GitError`.

        Parameters
        ----------
        root, index
            Its working tree and index.
        objects
            A folder of further objects, read only.
        """
        environ = {
            "GIT_DIR": str(self.path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_COUNT": "0",
            "GIT_ATTR_NOSYSTEM": "1",
        }
        if root is not None:
            environ["GIT_WORK_TREE"] = str(root)
        if index is not None:
            environ["GIT_INDEX_FILE"] = str(index)
        if objects is not None:
            environ["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = str(objects)
        return git.start(root or self.path, *args, stdin=stdin, environ=environ, switches=(*_SWITCHES, *switches))

    def run(self, *args: str, stdin: bytes | None = None) -> bytes:
        """Run git on this repository and give its output; raises `GitError`."""
        return self.start(*args, stdin=stdin).output()

    # --- refs ----------------------------------------------------------------------------------------------------

    def ref(self, digits: str) -> str | None:
        """Give the commit that keeps a tree, None when none does.  No process is needed for it."""
        try:
            return (self.path / REFS / digits).read_bytes().decode().strip()
        except OSError:
            pass
        try:
            lines = (self.path / "packed-refs").read_bytes()
        except OSError:
            return None
        at = lines.find(f" {REFS}/{digits}\n".encode())
        return lines[at - 64 : at].decode() if at >= 64 else None

    def ask_again(self, digits: str) -> str | None:
        """Give the commit that keeps a tree, and note in the ref that it was asked for: who removes trees looks there."""
        commit = self.ref(digits)
        if commit is not None:
            try:
                os.utime(self.path / REFS / digits)
            except FileNotFoundError:  # packed
                self.set_ref(digits, commit)
            except PermissionError:  # another user kept it
                pass
        return commit

    def set_ref(self, digits: str, commit: str) -> None:
        """Make a tree visible; the last step of keeping it.  Raises `OSError`."""
        folder = self.path / REFS
        folder.mkdir(parents=True, exist_ok=True)  # git removes it when it has packed all refs
        descriptor, scratch = tempfile.mkstemp(dir=self.path / "indexes", prefix="ref-")
        try:
            with os.fdopen(descriptor, "w") as stream:
                stream.write(f"{commit}\n")
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(scratch, 0o644)
            try:
                os.replace(scratch, folder / digits)
            except FileNotFoundError:
                folder.mkdir(parents=True, exist_ok=True)
                os.replace(scratch, folder / digits)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(scratch)
            raise

    # --- upkeep --------------------------------------------------------------------------------------------------

    def put_together(self, packs: int) -> None:
        """Put small packs and single refs together when there are many; a failure waits for the next time."""
        if packs < _MOST_PACKS:
            return
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.path / "indexes" / UPKEEP, timeout=0):
                self._remove_stale()
                self.run("repack", "--geometric=2", "-d", "-q")
                self.run("pack-refs", "--all")
        except (Timeout, GitError, OSError):
            return

    def _remove_stale(self) -> None:
        before = time.time() - _STALE
        for folder, prefixes in (
            (self.objects / "pack", ("tmp_", ".tmp-")),
            (self.path / "indexes", ("ref-", "copy-")),
        ):
            for name in os.listdir(folder):
                path = folder / name
                with contextlib.suppress(OSError):
                    if name.startswith(prefixes) and path.stat().st_mtime < before:
                        shutil.rmtree(path) if path.is_dir() else path.unlink()

    # --- indexes -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def hold(self, key: str) -> Iterator[Slot]:
        """Hold the index of a root; when another process holds it for long, work on a copy."""
        from filelock import Timeout

        folder = self.path / "indexes"
        folder.mkdir(exist_ok=True)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._held(folder / f"{key}.held"))
                slot = Slot(folder / key)
            except Timeout:
                scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder, prefix="copy-")))
                stack.enter_context(self._held(scratch / "copy.held"))
                for name in (key, f"{key}.json"):
                    with contextlib.suppress(FileNotFoundError):
                        shutil.copyfile(folder / name, scratch / name)
                slot = Slot(scratch / key)
            yield slot

    @contextlib.contextmanager
    def _held(self, path: Path) -> Iterator[None]:
        """Hold a lock, but never while another process removes trees.

        That one closes the door first (`REMOVAL`), and then waits for those who are inside, each by its own lock.
        """
        from filelock import FileLock, Timeout

        nested = getattr(self._inside, "now", False)
        lock = FileLock(path, timeout=_WAIT)
        door = FileLock(path.parent / REMOVAL if path.name != "copy.held" else path.parent.parent / REMOVAL)
        while True:
            lock.acquire()
            try:
                if nested:
                    break
                with door.acquire(timeout=0):
                    break
            except Timeout:
                lock.release()
            except BaseException:
                lock.release()
                raise
            try:
                with door.acquire(timeout=_PATIENCE):
                    pass
            except Timeout as error:
                told = "git: another process has been removing trees for long; try again when it is done"
                raise GitError(str(self.path), told) from error
        self._inside.now = True
        try:
            yield
        finally:
            self._inside.now = nested
            lock.release()


class Slot:
    """The index of one root, and what is known of the tree that it describes.

    Parameters
    ----------
    index
        Its file; a JSON document beside it holds the rest, and says which index it belongs to.
    """

    def __init__(self, index: Path) -> None:
        self.index = index
        self._clock = index.with_name(f"{index.name}.held")
        self._state = index.with_name(f"{index.name}.json")
        self._read: bytes | None = None

    def load(self) -> dict[str, Any]:
        """Give what is known; nothing, and no index, when the two do not belong together (a process was killed)."""
        try:
            self._read = self._state.read_bytes()
            found = json.loads(self._read)
            if isinstance(found, dict) and found.get("index") == index_file.checksum(self.index):
                return found
        except (OSError, ValueError):
            pass
        self.forget()
        return {}

    def forget(self) -> None:
        """Remove the index: the next walk sees every file as new."""
        for path in (self.index, Path(f"{self.index}.lock")):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def now(self) -> int:
        """Give the time by the clock of the file system, which may be another machine's, in nanoseconds."""
        with open(self._clock, "ab"):
            os.utime(self._clock)
        return self._clock.stat().st_mtime_ns

    def written(self, state: dict[str, Any], now: int, newest: int) -> None:
        """Date a new index back to before its files were read, so that git compares those that changed since by content."""
        os.utime(self.index, ns=(now, now))
        state["racy"] = newest if newest >= now // 1_000_000_000 else 0

    def settle(self, state: dict[str, Any], now: int) -> None:
        """Date an index forward when a walk that began later than any file was modified has found no change."""
        if state.get("racy") and now // 1_000_000_000 > state["racy"]:
            os.utime(self.index, ns=(now, now))
            state["racy"] = 0

    def save(self, state: dict[str, Any]) -> None:
        """Keep what is known for the next time, if it differs; a full disk only makes that one slower."""
        data = json.dumps(state).encode()
        if data == self._read:
            return
        scratch = self._state.with_name(f"{self._state.name}.{os.getpid()}.tmp")
        try:
            scratch.write_bytes(data)
            os.replace(scratch, self._state)
        except OSError:
            with contextlib.suppress(OSError):
                scratch.unlink()
