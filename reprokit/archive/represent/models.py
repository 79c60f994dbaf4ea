"""pydantic models and msgspec structs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from reprokit.archive import form
from reprokit.archive.form import Form, Split
from reprokit.archive.represent.records import by_state, state_of
from reprokit.archive.represent.references import reference
from reprokit.archive.represent.registry import libraries
from reprokit.archive.represent.standard import state_fills

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.archive.draft import Draft

_PYDANTIC = ("__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")


def for_model(cls: type) -> Callable[[Draft, Any], Form] | None:
    """Represent instances of pydantic models and of msgspec structs."""
    pydantic, msgspec = sys.modules.get("pydantic"), sys.modules.get("msgspec")
    if pydantic is not None and issubclass(cls, pydantic.BaseModel):
        return _of_model
    if msgspec is not None and issubclass(cls, msgspec.Struct):
        return _of_struct
    return None


def _of_model(draft: Draft, obj: Any) -> Form:
    """Set what a model holds, as its own copying does: nothing is validated again, nothing computed."""
    state = {"__dict__": dict(vars(obj)), **{name: getattr(obj, name) for name in _PYDANTIC}}
    begin = form.text(f"{draft.use('builtins', 'object')}.__new__({reference(draft, type(obj))})")
    return Form("split", (), split=lambda: Split(begin, state_fills(draft, obj, state)))


def _of_struct(draft: Draft, obj: Any) -> Form:
    cls = type(obj)
    more = hasattr(cls, "__post_init__") or set(state_of(obj)) - set(cls.__struct_fields__)
    if more and not cls.__struct_config__.frozen:
        return by_state(draft, obj)
    values = {name: getattr(obj, name) for name in cls.__struct_fields__}
    return form.call(reference(draft, cls), (), values, opaque=True)


libraries.append(for_model)
