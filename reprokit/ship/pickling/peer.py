"""The parts of cloudpickle that this room stands on.

Many of them are private there: they are named in this place alone, so that a version that has moved one fails here.
"""

from __future__ import annotations

from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import cloudpickle.cloudpickle as _peer  # type: ignore[import-untyped]

module: Any = cloudpickle
Pickler: Any = _peer.Pickler

# Functions: the names of globals that code uses, and the loaded submodules that it reaches through them.
globals_of: Any = _peer._extract_code_globals
submodules_of: Any = _peer._find_imported_submodules

# Classes: made empty under a number that all copies of them share, and filled afterwards.
reduce_class: Any = _peer._dynamic_class_reduce
make_class: Any = _peer._make_skeleton_class
make_enum: Any = _peer._make_skeleton_enum
fill_class: Any = _peer._class_setstate
classes: Any = _peer._DYNAMIC_CLASS_TRACKER_BY_ID
numbers: Any = _peer._DYNAMIC_CLASS_TRACKER_BY_CLASS
