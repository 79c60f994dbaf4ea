"""The extension points: small Protocols that plug-ins implement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reprokit.context import Context


@runtime_checkable
class Capture(Protocol):
    """Finds something out before and after a run; what it returns is kept in the record under ``captures[name]``.

    Both methods return what JSON can hold.  An exception becomes a fault in the record, never the caller's.
    """

    name: str

    def before(self, context: Context) -> Mapping[str, Any]: ...

    def after(self, context: Context) -> Mapping[str, Any]: ...


class Ledger(Protocol):
    """What an open `Context` hands its facts to; the recorder implements it."""

    def name_artifact(self, context: Context, path: str | Path) -> Path:
        """Return the tagged path, and expect a file there when the run ends."""
        ...

    def use(self, context: Context, path: str | Path) -> Path:
        """Digest and register a used input."""
        ...

    def describe(self, context: Context, name: str, value: Any) -> Any:
        """Give what JSON can hold of a recorded value, secrets taken out."""
        ...
