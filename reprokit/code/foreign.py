"""Which modules come with the interpreter or were installed, and so are no part of a project."""

from __future__ import annotations

import importlib.util
import os
import sys

_FOLDERS = frozenset(("site-packages", "dist-packages"))
_library = os.path.dirname(os.__file__)  # `sysconfig` knows as well, and takes a millisecond to say
_libraries = (os.path.join(_library, ""), os.path.join(os.path.realpath(_library), ""))


def is_foreign(path: str) -> bool:
    """Tell whether a file lies in the standard library or where packages are installed."""
    parts = path.replace("\\", "/").split("/")
    return not _FOLDERS.isdisjoint(parts) or path.startswith(_libraries)


def is_foreign_name(top: str) -> bool:
    """Tell whether a regular top-level module of this name is installed or comes with the interpreter."""
    if top in sys.stdlib_module_names:
        return True
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None and is_foreign(spec.origin)
