"""Where a configuration comes from: a value, a file, or a function of the call's arguments."""

from __future__ import annotations

import functools
import inspect
import os
from typing import TYPE_CHECKING, Any

from reprokit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SUFFIXES = (".yaml", ".yml", ".toml", ".json")

_files: dict[str, tuple[tuple[int, int, int], Any]] = {}


def resolve(config: Any, arguments: Mapping[str, Any] | None = None) -> Any:
    """Give the configuration that a decorator's ``config=`` stands for.

    What came from a file is kept until the file changes: the caller must not change it.

    Parameters
    ----------
    config
        A value; the path of a YAML, TOML or JSON file; or a function, called with one argument.
    arguments
        What that function gets: a dict of the call's arguments by name, defaults applied.

    Raises
    ------
    ConfigError
        When a file is missing or broken, or a text is no such path.
    """
    if isinstance(config, (str, os.PathLike)):
        return _from_file(os.fsdecode(config))
    if is_function(config):
        found = config(dict(arguments or {}))
        return _from_file(os.fsdecode(found)) if isinstance(found, (str, os.PathLike)) else found
    return config


def is_function(config: Any) -> bool:
    """Tell whether a configuration is a function of the arguments (an instance of a model is none)."""
    return inspect.isroutine(config) or isinstance(config, functools.partial)


def _from_file(path: str) -> Any:
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in _SUFFIXES:
        raise ConfigError(
            "config", f"{path!r} is no path to a {', '.join(_SUFFIXES)} file; give a mapping or such a path"
        )
    try:
        stat = os.stat(path)
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        known = _files.get(os.path.abspath(path))
        if known is not None and known[0] == stamp:
            return known[1]
        with open(path, "rb") as stream:
            data = stream.read()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise ConfigError("config", f"{path!r}: {getattr(error, 'strerror', None) or error}") from error
    found = _parse(path, suffix, data)
    _files[os.path.abspath(path)] = (stamp, found)
    return found


def _parse(path: str, suffix: str, data: bytes) -> Any:
    try:
        if suffix == ".toml":
            import tomllib

            return tomllib.loads(data.decode())
        if suffix == ".json":
            import json

            return json.loads(data)
        import yaml

        try:
            return yaml.safe_load(data)
        except yaml.YAMLError as error:
            raise ValueError(" ".join(str(error).split())) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError("config", f"{path}: {error}") from error
