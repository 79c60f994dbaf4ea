"""The random state of ``random``, NumPy and torch, when they are loaded, so that a run can be replayed.

Generators of the user's own (``numpy.random.default_rng()``) can't be seen from here.
"""

from __future__ import annotations

import base64
import struct
import sys
from typing import Any

_WORDS = struct.Struct("<625I")


def state() -> dict[str, Any]:
    """Give the state of each loaded library's global generators, as JSON can hold it."""
    found: dict[str, Any] = {}
    plain = sys.modules.get("random")
    if plain is not None and hasattr(
        plain, "getstate"
    ):  # a random.py of the user's own may stand before the standard library's
        version, words, gauss = plain.getstate()
        found["random"] = {"version": version, "words": _pack(_WORDS.pack(*words)), "gauss_next": gauss}
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "random"):  # NumPy loads it late; its seed would then be nobody's
        told = numpy.random.get_state(legacy=False)
        if told.get("bit_generator") == "MT19937":
            found["numpy"] = {
                "bit_generator": "MT19937",
                "key": _pack(told["state"]["key"].astype("<u4").tobytes()),
                "pos": int(told["state"]["pos"]),
                "has_gauss": int(told["has_gauss"]),
                "gauss": float(told["gauss"]),
            }
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_rng_state"):
        state_of_torch: dict[str, Any] = {"cpu": _pack(torch.get_rng_state().numpy().tobytes())}
        cuda = getattr(torch, "cuda", None)
        # Not `is_available`: it starts the driver, and a process that forks afterwards could not use it any more.
        if cuda is not None and cuda.is_initialized():
            state_of_torch["cuda"] = [_pack(one.numpy().tobytes()) for one in cuda.get_rng_state_all()]
        found["torch"] = state_of_torch
    return found


def restore(found: dict[str, Any]) -> list[str]:
    """Put recorded states back; give the names of those restored.

    Libraries that are not loaded are left alone.
    """
    done = []
    plain, told = sys.modules.get("random"), found.get("random")
    if plain is not None and hasattr(plain, "setstate") and told:
        plain.setstate((told["version"], _WORDS.unpack(_unpack(told["words"])), told["gauss_next"]))
        done.append("random")
    numpy, told = sys.modules.get("numpy"), found.get("numpy")
    # Another kind of generator may stand there by now; it is the user's.
    if numpy is not None and told and numpy.random.get_state(legacy=False).get("bit_generator") == "MT19937":
        key = numpy.frombuffer(_unpack(told["key"]), dtype="<u4").astype(numpy.uint32)
        numpy.random.set_state(("MT19937", key, told["pos"], told["has_gauss"], told["gauss"]))
        done.append("numpy")
    torch, told = sys.modules.get("torch"), found.get("torch")
    if torch is not None and told:
        torch.set_rng_state(torch.frombuffer(bytearray(_unpack(told["cpu"])), dtype=torch.uint8))
        if told.get("cuda") and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(
                [torch.frombuffer(bytearray(_unpack(one)), dtype=torch.uint8) for one in told["cuda"]]
            )
        done.append("torch")
    return done


def _pack(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unpack(text: str) -> bytes:
    return base64.b64decode(text)
