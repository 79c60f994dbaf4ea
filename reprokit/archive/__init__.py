"""Archives: Python objects stored as importable packages, large arrays in data files beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprokit.lazy import attach

if TYPE_CHECKING:
    from reprokit.archive.archive import Archive as Archive
    from reprokit.archive.dataset import DataSet as DataSet
    from reprokit.archive.items import Items as Items
    from reprokit.archive.objects import Archivable as Archivable
    from reprokit.archive.objects import Container as Container
    from reprokit.archive.peer import get_imports as get_imports
    from reprokit.archive.peer import repr_ as repr_
    from reprokit.archive.peer import restore as restore
    from reprokit.archive.represent.registry import register as register
    from reprokit.errors import ArchiveError as ArchiveError
    from reprokit.errors import CycleError as CycleError
    from reprokit.errors import DuplicateError as DuplicateError

_HOMES = {
    "Archivable": "reprokit.archive.objects",
    "Archive": "reprokit.archive.archive",
    "ArchiveError": "reprokit.errors",
    "Container": "reprokit.archive.objects",
    "CycleError": "reprokit.errors",
    "DataSet": "reprokit.archive.dataset",
    "DuplicateError": "reprokit.errors",
    "Items": "reprokit.archive.items",
    "get_imports": "reprokit.archive.peer",
    "register": "reprokit.archive.represent.registry",
    "repr_": "reprokit.archive.peer",
    "restore": "reprokit.archive.peer",
}

__all__ = [
    "Archivable",
    "Archive",
    "ArchiveError",
    "Container",
    "CycleError",
    "DataSet",
    "DuplicateError",
    "Items",
    "get_imports",
    "register",
    "repr_",
    "restore",
]

__getattr__, __dir__ = attach(__name__, _HOMES)
