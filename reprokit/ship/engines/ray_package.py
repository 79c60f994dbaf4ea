"""Ray itself, or the error that says how to get it.

Ray's own annotations differ between its versions, and much of what is used here has none; so it is `Any` to type checkers.
"""

from __future__ import annotations

import importlib
from typing import Any

from reprokit.errors import MissingExtraError

try:
    ray: Any = importlib.import_module("ray")
    exceptions: Any = importlib.import_module("ray.exceptions")
except ModuleNotFoundError as error:
    if error.name != "ray":
        raise  # there, but broken: that error tells more
    raise MissingExtraError("ray", "ray") from error
