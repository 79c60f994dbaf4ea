"""Why a result is given again, or is not: a call, or a file, beside the earlier runs that it could come from."""

from __future__ import annotations

from reprokit.catalog.why.result import Why as Why

__all__ = ["Why"]
