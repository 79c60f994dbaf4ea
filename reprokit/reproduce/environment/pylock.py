"""The form of ``pylock.toml``: https://packaging.python.org/specifications/pylock-toml/ (PEP 751)."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.code.distributions import normal
from reprokit.model.redact import strip_url
from reprokit.model.text import printable
from reprokit.reproduce.environment import own
from reprokit.reproduce.environment.lines import Missing

if TYPE_CHECKING:
    from reprokit.reproduce.environment.wanted import Wanted

_TABLE = "[[packages]]\n"
_NAME = re.compile(r'^name = "([^"]+)"$', re.MULTILINE)
_URL = re.compile(r'(?<=")[A-Za-z][A-Za-z0-9+.-]*://[^"]*(?=")')


def document(packages: dict[str, str], python: str, remarks: list[str]) -> str:
    """Give the file's text.

    Parameters
    ----------
    packages
        The body of each package's table, by name.
    python
        Version of the recorded interpreter; another minor version is refused by installers.
    remarks
        Put at the top as comments.
    """
    minor = ".".join(python.split(".")[:2])
    told = "".join(f"# {printable(' '.join(remark.split()))}\n" for remark in remarks)
    asks = f"requires-python = {_string(f'=={minor}.*')}\n" if re.fullmatch(r"\d+\.\d+", minor) else ""
    head = f'{told}lock-version = "1.0"\ncreated-by = "reprokit"\n{asks}'
    if not packages:
        return f"{head}packages = []\n"
    return head + "".join(f"\n{_TABLE}{packages[name]}" for name in sorted(packages))


def tables(text: str) -> dict[str, str]:
    """Take a ``pylock.toml`` apart: the body of each package's table, by name, without user info in addresses."""
    found: dict[str, str] = {}
    for body in text.split(_TABLE)[1:]:
        name = _NAME.search(body)
        if name is not None:
            found[normal(name[1])] = _URL.sub(lambda url: _without_user(url[0]), body.strip()) + "\n"
    return found


def entry(wanted: Wanted, root: str, folder: Path | None) -> str | Missing:
    """Give the body of the table for a package that came from no index, or why there can't be one."""
    lacks = Missing(name=wanted.name, version=wanted.version, reason=wanted.note or "where it came from is not known")
    head = f"name = {_string(wanted.name)}\nversion = {_string(wanted.version)}\n"
    below = {"subdirectory": wanted.subdirectory} if wanted.subdirectory else {}
    if wanted.revision is not None and wanted.url is not None:
        source = {"type": wanted.vcs, "url": wanted.url, "commit-id": wanted.revision, **below}
        return f"{head}vcs = {_inline(source)}\n"
    if wanted.kind == "archive" and wanted.sha256 is not None:
        return f"{head}archive = {_inline({'url': wanted.url, 'hashes': {'sha256': wanted.sha256}, **below})}\n"
    if wanted.inside is not None and wanted.kind in ("editable", "local folder"):
        path = _relative(wanted.inside, root, folder)
        return f"{head}directory = {_inline({'path': path, 'editable': wanted.editable})}\n"
    if wanted.name == own.NAME and wanted.kind == "index":
        return Missing(
            name=wanted.name,
            version=wanted.version,
            reason="it was not installed from a known place, and on the public index that name belongs to another project",
        )
    if wanted.kind == "archive":
        return Missing(name=wanted.name, version=wanted.version, reason=f"no hash of {wanted.url} was recorded")
    if wanted.url is not None:
        return Missing(
            name=wanted.name,
            version=wanted.version,
            reason=f"it was installed from {wanted.url}, which no other machine has",
        )
    return lacks


def from_report(metadata: dict[str, Any], source: dict[str, Any]) -> tuple[str, str]:
    """Give name and body of the table for a file of pip's installation report."""
    url = _without_user(source["url"].partition("#")[0])
    hashes = source.get("archive_info", {}).get("hashes", {})
    file = _inline({"url": url, "hashes": hashes})
    name = normal(metadata["name"])
    told = f"wheels = [{file}]" if url.endswith(".whl") else f"sdist = {file}"
    return name, f"name = {_string(name)}\nversion = {_string(metadata['version'])}\n{told}\n"


def _relative(inside: str, root: str, folder: Path | None) -> str:
    if folder is not None and os.path.isdir(root):
        try:
            return Path(os.path.relpath(os.path.join(root, inside), folder)).as_posix()
        except ValueError:  # on another drive
            pass
    return inside or "."


def _without_user(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if scheme == "ssh" or not separator or "@" not in rest.partition("/")[0]:
        return url
    return strip_url(url)


def _inline(value: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"


def _toml(value: Any) -> str:
    return _inline(value) if isinstance(value, dict) else _string(value)


def _string(value: Any) -> str:
    # JSON's strings and booleans are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
