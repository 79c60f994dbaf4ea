"""Functions, methods, partials and descriptors: by name, with the instance that they are bound to."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reprokit.capture.values.plain import END, close, text
from reprokit.capture.values.unknown import Refused

if TYPE_CHECKING:
    from reprokit.capture.values.encoder import Encoder


def _function(encoder: Encoder, value: types.FunctionType) -> bytes:
    module = value.__module__
    if value.__globals__.get("__name__") != module:  # functools.wraps lends a name: what stands behind it counts
        return close([b"@wrapper:", text(str(value.__globals__.get("__name__"))), _named(encoder, value), END])
    return _named(encoder, value)


def _named(encoder: Encoder, value: Any) -> bytes:
    return encoder.named(b"g", value, value.__module__, value.__qualname__)


def _method(encoder: Encoder, value: types.MethodType) -> bytes:
    return encoder.fields(b"@method:", value.__func__, value.__self__)


def _builtin(encoder: Encoder, value: Any) -> bytes:
    owner = value.__self__
    if owner is None or isinstance(owner, types.ModuleType):
        module = value.__module__ or getattr(owner, "__name__", None)
        return encoder.named(b"g", value, module, value.__qualname__)
    return close([b"@builtin:", text(value.__name__), encoder.value(owner), END])


def _descriptor(encoder: Encoder, value: Any) -> bytes:
    return encoder.fields(b"@descriptor:", value.__name__, value.__objclass__)


def _wrapper(encoder: Encoder, value: Any) -> bytes:
    return encoder.fields(b"@slot:", value.__name__, value.__self__)


def _partial(encoder: Encoder, value: functools.partial[Any]) -> bytes:
    encoder.mutable = encoder.mutable or bool(value.__dict__)
    parts = [encoder.value(value.func), encoder.sequence(b"t", value.args, ".args[{}]")]
    parts += [encoder.pairs(b"d", value.keywords.items()), encoder.pairs(b"d", value.__dict__.items(), True)]
    return close([b"@partial:", *parts, END])


def _static(encoder: Encoder, value: Any) -> bytes:
    return encoder.fields(b"@%b:" % type(value).__name__.encode(), value.__func__)


def _property(encoder: Encoder, value: property) -> bytes:
    return encoder.fields(b"@property:", value.fget, value.fset, value.fdel)


def _remembering(encoder: Encoder, value: Any) -> bytes:
    """Encode a function under `functools.lru_cache`; what it remembers does not count."""
    return close([b"@lru_cache:", encoder.value(value.__wrapped__), END])


EXACT: dict[type, Callable[[Encoder, Any], bytes]] = {
    types.FunctionType: _function,
    types.MethodType: _method,
    types.BuiltinFunctionType: _builtin,
    types.MethodDescriptorType: _descriptor,
    types.WrapperDescriptorType: _descriptor,
    types.ClassMethodDescriptorType: _descriptor,
    types.GetSetDescriptorType: _descriptor,
    types.MemberDescriptorType: _descriptor,
    types.MethodWrapperType: _wrapper,
    functools.partial: _partial,
    staticmethod: _static,
    classmethod: _static,
    property: _property,
    functools._lru_cache_wrapper: _remembering,
}


def find(kind: type) -> Callable[[Encoder, Any], bytes] | None:
    """Give the function for wrapt's function wrappers, this library's own among them."""
    wrapt: Any = sys.modules.get("wrapt")
    if wrapt is None or not issubclass(kind, wrapt.ObjectProxy.__mro__[-2]):  # the compiled one
        return None
    if issubclass(kind, wrapt.BoundFunctionWrapper):
        return _bound_proxy
    return _proxy if issubclass(kind, wrapt.FunctionWrapper) else _any_proxy


def _proxy(encoder: Encoder, value: Any) -> bytes:
    inner = value.__wrapped__
    while hasattr(type(inner), "_self_wrapper"):
        inner = inner.__wrapped__
    name = getattr(inner, "__module__", ""), getattr(inner, "__qualname__", "")
    parts = [encoder.kind(type(value)), encoder.named(b"g", value, *name)]
    if not type(value).__module__.startswith("reprokit."):  # what our own decorators keep changes no result
        parts.append(encoder.value(value._self_wrapper))
    return close([b"@decorated:", *parts, END])


def _bound_proxy(encoder: Encoder, value: Any) -> bytes:
    return close([b"@bound:", encoder.value(value._self_parent), encoder.value(value._self_instance), END])


def _any_proxy(encoder: Encoder, value: Any) -> bytes:
    raise Refused(type(value), "stands for another object")
