"""torch: tensors by dtype, device and elements."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reprokit.capture.values import instances
from reprokit.capture.values.plain import END, close, counted, text
from reprokit.capture.values.unknown import Refused

if TYPE_CHECKING:
    from reprokit.capture.values.encoder import Encoder


def find(kind: type) -> Callable[[Encoder, Any], bytes] | None:
    """Give the function for a class of torch's, or one that extends a tensor."""
    torch: Any = sys.modules["torch"]
    if not hasattr(torch, "Generator") or not hasattr(torch, "Tensor"):
        return None
    if issubclass(kind, torch.Tensor):
        return _tensor
    if issubclass(kind, torch.Generator):
        return _generator
    return _word if issubclass(kind, (torch.dtype, torch.device, torch.layout, torch.memory_format)) else None


def _word(encoder: Encoder, value: Any) -> bytes:
    return close([b"@torch:", text(str(value)), END])


def _tensor(encoder: Encoder, value: Any) -> bytes:
    encoder.mutable = True
    torch: Any = sys.modules["torch"]
    kind = type(value)
    parts = [b"@tensor:", encoder.form(kind), text(f"{value.dtype} {value.device} {value.layout}")]
    parts += [text(str(tuple(value.shape))), b"T" if value.requires_grad else b"F", b"T" if value.is_leaf else b"F"]
    plain = value.detach()
    if value.is_quantized or value.is_meta or value.is_nested:
        raise Refused(kind, "is a quantized, nested or meta tensor, whose content is not known")
    if value.layout is torch.strided:
        parts.append(_elements(torch, plain))
    elif value.layout is torch.sparse_coo:
        parts += [b"T" if value.is_coalesced() else b"F", _elements(torch, plain._indices())]
        parts.append(_elements(torch, plain._values()))
    elif value.layout is torch.sparse_csr:
        parts += [_elements(torch, part) for part in (plain.crow_indices(), plain.col_indices(), plain.values())]
    else:
        raise Refused(kind, f"has the layout {value.layout}, whose content is not known")
    if value.is_leaf:
        parts.append(encoder.value(value.grad))
    parts.append(instances.own_fields(encoder, value))
    return close([*parts, END])


def _elements(torch: Any, value: Any) -> bytes:
    """Encode the elements in C order; what lies in order on the CPU is not copied."""
    plain = value.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    head = text(f"{plain.dtype} {tuple(value.shape)}")
    if not plain.numel():
        return head
    data = plain.view(torch.uint8)
    if "numpy" in sys.modules:
        return close([head, counted(b"b", data.numpy().data)])
    return close([head, counted(b"b", bytes(data.untyped_storage()))])


def _generator(encoder: Encoder, value: Any) -> bytes:
    encoder.mutable = True
    return close([b"@torch generator:", text(str(value.device)), encoder.value(value.get_state()), END])
