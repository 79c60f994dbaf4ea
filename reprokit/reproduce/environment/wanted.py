"""What an environment has to hold: the packages of a record, and where each of them came from."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote, urlsplit

import msgspec

from reprokit.code.distributions import normal
from reprokit.model.redact import strip_url

if TYPE_CHECKING:
    from reprokit.model.records import ContextRecord, GitInfo, Package

Kind = Literal["index", "vcs", "archive", "editable", "local file", "local folder", "unknown"]

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z")  # PEP 508
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*\Z")
_REMOTE = frozenset(("https", "http", "ssh", "git", "file"))  # never ext:: and the like, which run commands
_ODD = re.compile(r"[\x00-\x20\x7f\"'<>\\^`{|}]|::")
_CONDA = re.compile(r"/(?:croot|conda-bld|feedstock_root|perseverance-python-buildout|b/abs_[^/]*)(?:/|\Z)")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A package as a record names it.

    Attributes
    ----------
    name, version
        Of the distribution; the name as `packaging` normalises it.
    kind
        Where it came from.
    url
        For all kinds but "index" and "unknown"; without user, password and query.
    revision
        Commit of a "vcs" one, and of an editable outside the project whose repository was recorded.
    repository
        Folder of that repository on the machine that recorded.
    inside
        Path below the project root, for what was installed from there; "" is the root itself.
    note
        What is odd about it, a sentence.
    """

    name: str
    version: str
    kind: Kind
    url: str | None = None
    vcs: str = "git"
    revision: str | None = None
    repository: str | None = None
    subdirectory: str | None = None
    inside: str | None = None
    editable: bool = False
    sha256: str | None = None
    note: str = ""

    @property
    def said(self) -> str:
        """Name and version, for people."""
        return f"{self.name} {self.version}".rstrip()


def requirements(recorded: ContextRecord) -> list[Wanted]:
    """List the packages of a record with their origins, in the record's order.

    reprokit itself is among them; an environment gets the running reprokit instead.
    """
    return [_wanted(package, recorded) for package in recorded.packages]


def _wanted(package: Package, recorded: ContextRecord) -> Wanted:
    from packaging.version import InvalidVersion, Version

    name = normal(package.name)
    if not _NAME.match(name):
        return Wanted(name=name, version=package.version, kind="unknown", note="its name is none that an index knows")
    try:
        Version(package.version)
    except InvalidVersion:
        return Wanted(
            name=name, version=package.version, kind="unknown", note="its version is none that an index knows"
        )
    if package.direct_url is None:
        return Wanted(name=name, version=package.version, kind="index")
    return _direct(Wanted(name=name, version=package.version, kind="unknown"), package.direct_url, recorded)


def _direct(base: Wanted, direct: dict[str, Any], recorded: ContextRecord) -> Wanted:
    """Read PEP 610: exactly one of ``vcs_info``, ``archive_info``, ``dir_info`` beside ``url``."""
    replace = msgspec.structs.replace
    url = direct.get("url")
    if not isinstance(url, str) or not _is_plain(url):
        return replace(base, note="where it was installed from can't be read")
    url = _with_git_user(strip_url(url))  # records are made so, but others can make records, too
    base = replace(base, url=url, subdirectory=_subdirectory(direct))
    if isinstance(info := direct.get("vcs_info"), dict):
        revision, vcs = info.get("commit_id"), info.get("vcs", "git")
        if not isinstance(revision, str) or not _REVISION.match(revision) or vcs not in ("git", "hg", "svn", "bzr"):
            return replace(base, note="its revision was not recorded")
        return replace(base, kind="vcs", vcs=vcs, revision=revision)
    if isinstance(info := direct.get("archive_info"), dict):
        kind: Kind = "local file" if url.startswith("file:") else "archive"
        if kind == "local file" and _CONDA.search(url):
            return _from_conda(base)
        return replace(base, kind=kind, sha256=_sha256(info), inside=_inside(url, recorded.root_directory))
    info = direct.get("dir_info")
    editable = isinstance(info, dict) and info.get("editable") is True
    if not editable and _CONDA.search(url):
        return _from_conda(base)
    inside = _inside(url, recorded.root_directory)
    base = replace(base, kind="editable" if editable else "local folder", editable=editable, inside=inside)
    return base if inside is not None else _at_revision(base, recorded)


def _from_conda(base: Wanted) -> Wanted:
    # conda's builders install from their own build folder, which pip then records; the version is the released one.
    note = "built by conda; the index's build of that version stands in"
    return msgspec.structs.replace(base, kind="index", url=None, note=note)


def _at_revision(base: Wanted, recorded: ContextRecord) -> Wanted:
    """Give the revision of a folder outside the project, when its repository was recorded."""
    folder = local_path(base.url or "")
    best: tuple[str, GitInfo] | None = None
    for info in recorded.git.values():
        root = info.path if _is_absolute(info.path) else posixpath.join(recorded.root_directory, info.path)
        root = posixpath.normpath(root.replace("\\", "/"))
        if info.sha and _REVISION.match(info.sha) and _below(folder, root) is not None:
            best = max(best or ("", info), (root, info), key=lambda one: len(one[0]))
    if best is None:
        return base
    root, info = best
    below = _below(folder, root)
    remote = next((url for one in info.remotes if (url := _as_url(one.url)) is not None), None)
    note = "it had uncommitted changes, which are not part of that revision" if info.dirty else ""
    return msgspec.structs.replace(
        base, revision=info.sha, url=remote, repository=root, subdirectory=below or None, note=note
    )


def _as_url(remote: str) -> str | None:
    """Give a remote as a URL: git also takes ``host:path`` and plain paths."""
    if remote.startswith("/"):
        remote = f"file://{quote(remote)}"
    elif "://" not in remote and (found := re.fullmatch(r"(?:[\w.-]+@)?([\w.-]{2,}):([\w./~-]+)", remote)):
        remote = f"ssh://git@{found[1]}/{found[2].lstrip('/')}"
    return _with_git_user(strip_url(remote)) if _is_plain(remote) else None


def _subdirectory(direct: dict[str, Any]) -> str | None:
    found = direct.get("subdirectory")
    plain = isinstance(found, str) and found and not _ODD.search(found) and ".." not in found.split("/")
    return found.strip("/") if plain and isinstance(found, str) else None


def _sha256(info: dict[str, Any]) -> str | None:
    hashes = info.get("hashes")
    found = hashes.get("sha256") if isinstance(hashes, dict) else None
    found = found or str(info.get("hash", "")).partition("sha256=")[2]
    return found if isinstance(found, str) and re.fullmatch(r"[0-9a-f]{64}", found) else None


def _is_plain(url: str) -> bool:
    return not _ODD.search(url) and urlsplit(url).scheme in _REMOTE


def _with_git_user(url: str) -> str:
    # User info is taken out of records; for ssh it is the account `git` at every host there is.
    parts = urlsplit(url)
    if parts.scheme == "ssh" and "@" not in parts.netloc:
        return parts._replace(netloc=f"git@{parts.netloc}").geturl()
    return url


def local_path(url: str) -> str:
    """Give the path of a ``file:`` URL, with POSIX separators; "" for other URLs."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        return ""
    path = unquote(parts.path)
    return posixpath.normpath(path[1:] if re.match(r"/[A-Za-z]:", path) else path)


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or bool(re.match(r"[A-Za-z]:", path))


def _inside(url: str, root: str) -> str | None:
    path = local_path(url)
    return _below(path, posixpath.normpath(root.replace("\\", "/"))) if path else None


def _below(path: str, root: str) -> str | None:
    if path == root:
        return ""
    return path[len(root.rstrip("/")) + 1 :] if path.startswith(f"{root.rstrip('/')}/") else None
