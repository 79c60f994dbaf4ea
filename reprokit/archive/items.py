"""What loading gives."""

from __future__ import annotations

from typing import Any


class Items(dict[str, Any]):
    """The items of an archive by name; ``items.x`` is ``items["x"]`` unless dict has an attribute ``x``."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the archive holds no {name!r}; it holds {', '.join(self) or 'nothing'}") from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]
