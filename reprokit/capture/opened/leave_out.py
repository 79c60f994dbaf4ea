"""Files that are opened and are no inputs or outputs of anybody's work."""

from __future__ import annotations

import os
import sys
import tempfile
from functools import lru_cache
from typing import TYPE_CHECKING

from reprokit.code import source

if TYPE_CHECKING:
    from collections.abc import Iterable

_SUFFIXES = (".pyc", ".run.json", ".so", ".pyd", ".dll", ".ttf", ".otf", ".ttc", ".pfb", ".afm")
_FOLDERS = ("__pycache__", ".git", ".ipynb_checkpoints", ".pytest_cache", ".hypothesis")
_SYSTEM = ("/proc", "/sys", "/dev", "/run", "/etc", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share", "/System", "/Library")  # fmt: skip
# Not all of the user's cache folder: model weights and data sets that were downloaded there are inputs.
_CACHES = ("matplotlib", "fontconfig", "pip", "uv", "reprokit", "numba", "ccache", "mesa_shader_cache", "Python")


class LeaveOut:
    """Tells which files don't count.

    Parameters
    ----------
    root
        The project root: what lies in it counts also when it lies in a temporary folder.
    ours
        Folders that reprokit writes in.
    named
        Files and folders that the run has named; they have their record.
    code
        Source files of imported modules.
    """

    def __init__(self, root: str, ours: Iterable[str], named: Iterable[str], code: Iterable[str]) -> None:
        self._root = root + os.sep
        always, around = list(ours), list[str]()
        for folder in _folders(tempfile.gettempdir()):
            (around if self._root.startswith(folder + os.sep) else always).append(folder)
        self._always = tuple(folder.rstrip(os.sep) + os.sep for folder in always)
        self._around = tuple(folder + os.sep for folder in around)
        self._named = set(named)
        self._inside_named = tuple(path + os.sep for path in self._named if os.path.isdir(path))
        self._code = set(code)

    def __call__(self, path: str) -> bool:
        """Tell whether a file, by its absolute path, doesn't count."""
        if path in self._named or path in self._code or path.startswith(self._always + self._inside_named):
            return True
        if path.startswith(self._around) and not path.startswith(self._root):
            return True
        if path.lower().endswith(_SUFFIXES):
            return True
        parts = path.split(os.sep)
        return any(folder in parts for folder in _FOLDERS) or source.is_secret(parts[-1])


@lru_cache(maxsize=8)
def _folders(temporary: str) -> tuple[str, ...]:
    import platformdirs

    caches = {platformdirs.user_cache_dir(), os.path.expanduser("~/.cache")}
    found = [temporary, os.path.realpath(temporary), *_SYSTEM]
    found += [os.path.join(cache, name) for cache in sorted(caches) for name in _CACHES]
    found += [os.path.expanduser("~/.config/matplotlib"), os.path.expanduser("~/.fonts")]
    found += [os.path.join(platformdirs.user_data_dir(), "fonts"), os.path.expanduser("~/.local/share/fonts")]
    if sys.pycache_prefix:
        found.append(sys.pycache_prefix)
    if os.name == "nt":
        found.append(os.environ.get("SYSTEMROOT", r"C:\Windows"))
    return tuple(dict.fromkeys(path.rstrip(os.sep) for path in found if path))


def imported(paths: Iterable[str]) -> set[str]:
    """Give those of the files that are source of a module that this process has imported."""
    wanted = set(paths)
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {name for name in files if isinstance(name, str) and name in wanted}
