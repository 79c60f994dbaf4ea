"""Which files belong to a source tree, and why others are left out."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import TYPE_CHECKING

from reprokit.model import naming

if TYPE_CHECKING:
    from collections.abc import Iterable

# Files that are secrets by name.  Their content never leaves its place.
_SECRET_NAME = (
    r"(?:\.env(?:\..+)?|.*\.env|.*\.(?:pem|key|p12|pfx|jks|keystore|kdbx|ppk|ovpn|asc\.key)|id_(?:rsa|dsa|ecdsa|ed25519)(?:_.*)?|"
    r"\.netrc|_netrc|\.pgpass|\.pypirc|\.htpasswd|\.git-credentials|\.npmrc|\.dockercfg|credentials(?:\.json|\.ya?ml|\.toml|\.ini)?|"
    r"client_secret.*\.json|service[-_]account.*\.json|secrets?\.(?:json|ya?ml|toml|ini|env|txt)|.*\.tfstate(?:\.backup)?|token\.json)\Z"
)
_EXAMPLE = r".*\.(?:example|sample|template|dist|pub)\Z"
SNAPSHOT = "Source code as it was captured by reprokit"  # how the docstring of a captured folder begins
_MARK = b'"""' + SNAPSHOT.encode()
_DERIVED_FOLDERS = frozenset(("__pycache__", ".git"))
_DERIVED_SUFFIXES = (".pyc", ".pyo", naming.SIDECAR)
_TEMPORARY = re.compile(r"\.[0-9]+-[0-9]+-[0-9a-f]{8}-.*\.tmp\Z", re.DOTALL)  # a side-car that is being written


def is_secret(path: str) -> bool:
    """Tell whether a file is a secret by its name (``.env``, private keys)."""
    name = path.rpartition("/")[2]
    # Compiled by `re` when first asked: most processes never look at a file's name.
    return re.match(_SECRET_NAME, name, re.IGNORECASE) is not None and re.match(_EXAMPLE, name, re.IGNORECASE) is None


def is_derived(path: str, template: str | None = None) -> bool:
    """Tell whether a file is made by running code: byte code, side-cars and tagged artifacts (or within one)."""
    parts = path.split("/")
    if path.endswith(_DERIVED_SUFFIXES) or not _DERIVED_FOLDERS.isdisjoint(parts) or _TEMPORARY.match(parts[-1]):
        return True
    return any(naming.parse(part, template) is not None for part in parts if "-" in part)


def in_snapshot(top: str | os.PathLike[str], path: str) -> bool:
    """Tell whether a file belongs to a folder that ``snapshot.capture`` made, below `top`."""
    folder = os.path.dirname(path)
    while folder:
        try:
            with open(os.path.join(top, folder, "__init__.py"), "rb") as stream:
                if stream.read(len(_MARK)) == _MARK:
                    return True
        except OSError:
            pass
        folder = os.path.dirname(folder)
    return False


def beside_sidecars(paths: Iterable[str]) -> set[str]:
    """Give those of `paths` that have a side-car among them."""
    known = set(paths)
    return {path[: -len(naming.SIDECAR)] for path in known if path.endswith(naming.SIDECAR)}


def within(path: str, folder: str | None) -> bool:
    """Tell whether a path is a folder or lies in it; None contains nothing."""
    return folder is not None and (path == folder or path.startswith(f"{folder}/"))


def relative_to(path: str | os.PathLike[str], root: str | os.PathLike[str]) -> str | None:
    """Give `path` relative to `root` with POSIX separators, None when it lies outside."""
    try:
        found = os.path.relpath(path, root)
    except ValueError:  # another drive
        return None
    return None if found == os.pardir or found.startswith(os.pardir + os.sep) else found.replace(os.sep, "/")


def chosen(path: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> bool:
    """Tell whether patterns let a file through; a pattern fits the whole path, its name, or a folder above it."""
    return (not include or _fits(path, include)) and not _fits(path, exclude)


def _fits(path: str, patterns: tuple[str, ...]) -> bool:
    name = path.rpartition("/")[2]
    for pattern in patterns:
        bare = pattern.rstrip("/")
        if fnmatch.fnmatchcase(path, bare) or fnmatch.fnmatchcase(name, bare) or path.startswith(f"{bare}/"):
            return True
    return False
