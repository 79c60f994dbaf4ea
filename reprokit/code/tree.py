"""The private store of source trees: a bare git repository in the vault, one commit a distinct tree.

The user's repository is only read.  The store has its own index for each project root, so an unchanged tree costs one
stat walk; its own attributes, which win over those of the tree, so bytes stay exact and no filter runs; and its own
config, so no other one is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit import git
from reprokit.code import left_out, source
from reprokit.errors import GitError
from reprokit.model import digest as digests
from reprokit.model.records import LeftOut, SnapshotInfo
from reprokit.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_ATTRIBUTES = "* -text -filter -ident -working-tree-encoding -eol -diff\n"
_CONFIG = """\
[core]
\trepositoryformatversion = 1
\tbare = false
\tbigFileThreshold = 1
\tcompression = 1
\tautocrlf = false
\tsafecrlf = false
\tfsync = committed
[extensions]
\tobjectformat = sha256
[gc]
\tauto = 0
[index]
\tthreads = true
"""
_AUTHOR = {
    "GIT_AUTHOR_NAME": "reprokit",
    "GIT_AUTHOR_EMAIL": "reprokit@localhost",
    "GIT_AUTHOR_DATE": "1000000000 +0000",
    "GIT_COMMITTER_NAME": "reprokit",
    "GIT_COMMITTER_EMAIL": "reprokit@localhost",
    "GIT_COMMITTER_DATE": "1000000000 +0000",
}
_WAIT = 20.0  # seconds for another process that keeps the same tree
KIND = "reprokit/tree/1"


class _Listing(msgspec.Struct):
    """What differs between the index and the disk, sorted out."""

    add: list[str] = []
    remove: list[str] = []
    left_out: list[LeftOut] = []


class TreeStore:
    """Keeps source trees by digest.

    Parameters
    ----------
    path
        The bare repository; made on first use.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))

    # --- keeping -----------------------------------------------------------------------------------------------------

    def keep(
        self,
        root: Path,
        *,
        max_file_size: int,
        vault: Path | None = None,
        include: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
        template: str | None = None,
    ) -> SnapshotInfo:
        """Keep the tree below `root` as it is on disk: tracked, changed and new files that ``.gitignore`` lets through.

        Left out, and listed with the reason: files over `max_file_size` bytes, secrets by name, nested repositories.
        The vault, byte code, side-cars and tagged artifacts are no source.

        Returns
        -------
        SnapshotInfo
            The digest covers the tree and what was left out (by content where that is no secret).

        Raises
        ------
        GitError
            When git is missing or cannot read the tree.
        OSError
            When the store cannot be written.
        """
        self._ensure()
        key = hashlib.sha256(
            repr((os.fspath(root), include, exclude, max_file_size)).encode("utf-8", "surrogateescape")
        ).hexdigest()[:16]
        with self._index(key) as (index, state_path):
            known = _read_state(state_path)
            environ = self._environment(root, index)
            listing = self._list(root, environ, max_file_size, vault, include, exclude, template, known)
            if listing.add or listing.remove or not known.get("tree"):
                warnings = self._update(root, environ, listing, dict(known.get("warnings", {})))
                tree = git.run(root, "write-tree", environ=environ).decode().strip()
                files, size = self._measure(tree)
                known = {**known, "tree": tree, "files": files, "size": size, "warnings": warnings}
            left = sorted(listing.left_out, key=lambda one: one.path)
            info = self._commit(known, left)
            _write_state(state_path, known)
        return info

    def _list(
        self,
        root: Path,
        environ: dict[str, str],
        max_file_size: int,
        vault: Path | None,
        include: tuple[str, ...],
        exclude: tuple[str, ...],
        template: str | None,
        known: dict[str, Any],
    ) -> _Listing:
        """Find what changed on disk since the index was written, by one stat walk."""
        switches = ("-c", f"core.excludesFile={self._excludes(root, vault)}")
        walk = git.start(
            root,
            "ls-files",
            "-z",
            "-t",
            "--others",
            "--modified",
            "--deleted",
            "--exclude-standard",
            environ=environ,
            switches=switches,
        )
        forced = left_out.tracked_though_ignored(root)
        vault_inside = source.relative_to(vault, root) if vault is not None else None
        out = walk.output().decode("utf-8", "surrogateescape").split("\0")
        states: dict[str, str] = {}
        for line in out:
            if line:
                states[line[2:]] = "R" if line[0] == "R" else states.get(line[2:], line[0])
        if forced:
            mine = set(git.run(root, "ls-files", "-z", environ=environ).decode("utf-8", "surrogateescape").split("\0"))
            states.update({path: "?" for path in forced if path not in mine})
        outputs = source.beside_sidecars(states)
        listing = _Listing()
        for path, state in states.items():
            if state == "R":
                listing.remove.append(path)
            elif source.within(path.rstrip("/"), vault_inside):
                continue
            elif path.endswith("/") or (
                os.path.isdir(os.path.join(root, path)) and not os.path.islink(os.path.join(root, path))
            ):
                listing.left_out.append(left_out.nested(root, path.rstrip("/")))
            elif (
                state == "?" and path not in forced and (source.is_derived(path, template) or path in outputs)
            ) or not source.chosen(path, include, exclude):
                continue
            else:
                reason = left_out.why_left_out(root, path, max_file_size, known)
                if reason is None:
                    listing.add.append(path)
                else:
                    listing.left_out.append(reason)
                    if state != "?":
                        listing.remove.append(path)
        return listing

    def _update(
        self, root: Path, environ: dict[str, str], listing: _Listing, warnings: dict[str, list[str]]
    ) -> dict[str, list[str]]:
        for word, paths in (("--force-remove", listing.remove), ("--add", listing.add)):
            if paths:
                stdin = b"".join(os.fsencode(path) + b"\0" for path in paths)
                args = (
                    ("update-index", "-z", word, "--stdin")
                    if word == "--force-remove"
                    else ("update-index", "-z", word, "--remove", "--stdin")
                )
                git.run(root, *args, stdin=stdin, environ=environ)
        for path in (*listing.remove, *listing.add):
            warnings.pop(path, None)
        for path in listing.add:
            found = left_out.secrets_in(os.path.join(root, path))
            if found:
                warnings[path] = found
        return warnings

    def _commit(self, known: dict[str, Any], left: list[LeftOut]) -> SnapshotInfo:
        """Give the tree a commit and a ref; the ref is written last, so what is visible is whole."""
        tree = known["tree"]
        told = json.dumps(
            [[one.path, one.reason, one.digest] for one in left], ensure_ascii=True, separators=(",", ":")
        )
        digest = digests.of_parts(KIND, tree.encode(), told.encode())
        ref = f"refs/trees/{digests.hex_of(digest)}"
        if not (self.path / ref).exists():
            message = f"{KIND}\n\n{told}\n".encode()
            commit = git.run(
                self.path, "commit-tree", tree, "-F", "-", stdin=message, environ=self._environment() | _AUTHOR
            )
            git.run(self.path, "update-ref", ref, commit.decode().strip(), environ=self._environment())
        warned = known.get("warnings", {})
        return SnapshotInfo(
            digest=digest,
            ref=ref,
            files=known["files"],
            size=known["size"],
            left_out=left,
            warnings=[
                f"{printable(path)}: looks like a secret ({', '.join(found)})" for path, found in sorted(warned.items())
            ],
        )

    # --- reading -----------------------------------------------------------------------------------------------------

    def files(self, digest: str) -> list[tuple[str, int]]:
        """List the files of a kept tree with their sizes in bytes."""
        return [(path, size) for _, path, size in self._entries(self._ref(digest))]

    def read(self, digest: str, path: str) -> bytes:
        """Give the bytes of one file of a kept tree.

        Raises
        ------
        GitError
            When there is no such tree or file.
        """
        return git.run(self.path, "cat-file", "blob", f"{self._ref(digest)}:{path}", environ=self._environment())

    def export(self, digest: str, folder: Path) -> None:
        """Write a kept tree into a new folder: exact bytes, modes and links.

        Raises
        ------
        FileExistsError
            When the folder is there already.
        GitError
            When there is no such tree.
        """
        ref = self._ref(digest)
        git.run(self.path, "rev-parse", "--verify", "-q", ref, environ=self._environment())
        folder.mkdir(parents=True)
        descriptor, index = tempfile.mkstemp(dir=self.path, prefix="export-")
        os.close(descriptor)
        os.unlink(index)
        try:
            environ = self._environment(folder, Path(index))
            git.run(folder, "read-tree", ref, environ=environ)
            git.run(folder, "checkout-index", "-a", "-f", environ=environ)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(index)

    def _ref(self, digest: str) -> str:
        if not digests.is_digest(digest):
            raise GitError(str(self.path), f"git rev-parse: {digest!r} is no tree digest (sha256:<64 hex digits>)")
        return f"refs/trees/{digests.hex_of(digest)}"

    def _entries(self, treeish: str) -> Iterator[tuple[str, str, int]]:
        out = git.run(self.path, "ls-tree", "-r", "-l", "-z", "--full-tree", treeish, environ=self._environment())
        for line in out.decode("utf-8", "surrogateescape").split("\0"):
            if line:
                facts, _, path = line.partition("\t")
                mode, _, _, size = facts.split()
                yield mode, path, int(size) if size.isdigit() else 0

    def _measure(self, tree: str) -> tuple[int, int]:
        sizes = [size for _, _, size in self._entries(tree)]
        return len(sizes), sum(sizes)

    # --- the store ---------------------------------------------------------------------------------------------------

    def _ensure(self) -> None:
        if (self.path / "HEAD").exists():
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=".code-"))
        try:
            for folder in ("objects/pack", "refs/trees", "refs/heads", "info", "indexes"):
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

    def _environment(self, root: Path | None = None, index: Path | None = None) -> dict[str, str]:
        environ = {
            "GIT_DIR": str(self.path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
        }
        if root is not None:
            environ["GIT_WORK_TREE"] = str(root)
        if index is not None:
            environ["GIT_INDEX_FILE"] = str(index)
        return environ

    @contextlib.contextmanager
    def _index(self, key: str) -> Iterator[tuple[Path, Path]]:
        """Hold the index of a root; when another process holds it for long, work on a copy."""
        from filelock import FileLock, Timeout

        folder = self.path / "indexes"
        folder.mkdir(exist_ok=True)
        index, state = folder / key, folder / f"{key}.json"
        lock = FileLock(folder / f"{key}.held", timeout=_WAIT)
        try:
            lock.acquire()
        except Timeout:
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                copy = Path(scratch) / "index"
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(index, copy)
                yield copy, Path(scratch) / "state.json"
            return
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{index}.lock")  # left by a killed git: nobody else may write this index now
            yield index, state
        finally:
            lock.release()

    def _excludes(self, root: Path, vault: Path | None) -> Path:
        """Write what the repository's own and the user's exclude files say, for the store reads neither."""
        lines: list[bytes] = []
        place = git.locate(root)
        home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        files = [Path(home) / "git" / "ignore", *([place.common_dir / "info" / "exclude"] if place else [])]
        for path in files:
            with contextlib.suppress(OSError):
                lines.append(path.read_bytes())
        inside = source.relative_to(vault, root) if vault is not None else None
        if inside and inside != ".":
            lines.append(b"/" + os.fsencode(inside) + b"/")
        lines.append(b"__pycache__/\n*.pyc\n")
        data = b"\n".join(lines)
        target = self.path / "info" / f"exclude-{hashlib.sha256(data).hexdigest()[:16]}"
        if not target.exists():
            scratch = target.with_name(f"{target.name}.{os.getpid()}")
            scratch.write_bytes(data)
            os.replace(scratch, target)
        return target


def _read_state(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_state(path: Path, state: dict[str, Any]) -> None:
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(state))
    os.replace(scratch, path)
