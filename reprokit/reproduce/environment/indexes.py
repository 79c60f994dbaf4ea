"""Indexes that pip is told of, handed on to uv, which reads nothing of pip's."""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OWN = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX")
_OPTIONS = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}


def for_uv(environ: Mapping[str, str], *, portable: bool = False) -> dict[str, str]:
    """Give the variables that tell uv of pip's indexes; none when uv itself was told of some.

    With `portable` folders of this machine are left out: no other machine has them.
    """
    if any(environ.get(name) for name in _OWN) or any(path.is_file() for path in _uv_files(environ)):
        return {}
    told = _configured(environ)
    found: dict[str, str] = {}
    for option, variable in _OPTIONS.items():
        value = environ.get(f"PIP_{option.upper().replace('-', '_')}") or told.get(option)
        entries = [one for one in (value or "").split() if not portable or one.startswith(("http://", "https://"))]
        if entries:
            separator = "," if option == "find-links" else " "
            found[variable] = separator.join(entries)
    if found:
        found["UV_INDEX_STRATEGY"] = environ.get("UV_INDEX_STRATEGY", "unsafe-best-match")  # pip's way
    return found


def _configured(environ: Mapping[str, str]) -> dict[str, str]:
    told: dict[str, str] = {}
    for path in _pip_files(environ):  # later ones win, as with pip
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                told.update(parser.items(section))
    return told


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    import platformdirs

    name = "pip.ini" if os.name == "nt" else "pip.conf"
    home = Path("~").expanduser()
    yield from (
        Path(folder) / name
        for folder in platformdirs.site_config_dir("pip", appauthor=False, multipath=True).split(os.pathsep)
    )
    if os.name != "nt":
        yield Path("/etc") / name
    yield home / ("pip" if os.name == "nt" else ".pip") / name
    yield Path(platformdirs.user_config_dir("pip", appauthor=False, roaming=True)) / name
    yield Path(sys.prefix) / name
    if named:
        yield Path(named)


def _uv_files(environ: Mapping[str, str]) -> Iterator[Path]:
    import platformdirs

    if environ.get("UV_CONFIG_FILE"):
        yield Path(environ["UV_CONFIG_FILE"])
    yield Path("/etc/uv/uv.toml")
    yield Path(platformdirs.user_config_dir("uv", appauthor=False, roaming=True)) / "uv.toml"
    for folder in (Path.cwd(), *Path.cwd().parents):
        yield folder / "uv.toml"
        if _names_indexes(folder / "pyproject.toml"):
            yield folder / "pyproject.toml"


def _names_indexes(project: Path) -> bool:
    try:
        text = project.read_bytes()
    except OSError:
        return False
    return b"[tool.uv" in text and b"index" in text
