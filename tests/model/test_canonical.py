"""Equal hashes mean equal configurations, in every process; what has no canonical form is named by its place."""

from __future__ import annotations

import argparse
import datetime as dt
import decimal
import enum
import fractions
import json
import math
import os
import subprocess
import sys
import types
import uuid
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from reprokit.errors import ConfigError
from reprokit.model.canonical import TAG, canonical, config_hash, plain
from tests.conftest import SOURCE

np = pytest.importorskip("numpy")

EMPTY = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
VECTORS = json.loads((SOURCE / "docs/formats/config-hash-vectors.json").read_text())

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
keys = st.text(max_size=5) | st.sampled_from([f"{TAG}int", f"{TAG}mapping", TAG]) | st.integers(-3, 3) | st.booleans()
configs = st.recursive(
    scalars | st.frozensets(st.integers() | st.text(), max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def identity(value):
    """Say what a value is, in a way that shares nothing with the code under test."""
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, float):
        if math.isnan(value):
            return "nan"
        if value.is_integer() and abs(value) < 2**53 and not (value == 0 and math.copysign(1, value) < 0):
            return f"number {int(value)}"
        return f"float {value!r}"
    if isinstance(value, int):
        return f"number {value}"
    if isinstance(value, (str, bytes)):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, (list, tuple)):
        return ["list", *(identity(v) for v in value)]
    if isinstance(value, frozenset):
        return ["set", *sorted((identity(v) for v in value), key=str)]
    return ["dict", *sorted(([identity(k), identity(v)] for k, v in value.items()), key=str)]


@given(configs, configs)
def test_equal_hashes_mean_equal_configs(one, two):
    assert (config_hash({"c": one}) == config_hash({"c": two})) == (identity(one) == identity(two))


@given(configs)
def test_hash_does_not_depend_on_the_order_of_keys(value):
    def turned(v):
        if isinstance(v, dict):
            return {k: turned(x) for k, x in reversed(v.items())}
        return [turned(x) for x in v] if isinstance(v, list) else v

    assert config_hash(value) == config_hash(turned(value))


@given(configs)
def test_canonical_form_is_json_that_rfc8785_leaves_as_it_is(value):
    data = canonical(value)
    assert rfc8785.dumps(json.loads(data, parse_int=float)) == data


def test_empty():
    assert config_hash({}) == config_hash(None) == EMPTY


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["value"])
def test_vectors_of_the_documentation(vector):
    import hashlib

    names = {
        "Path": PurePosixPath,
        "date": dt.date,
        "datetime": dt.datetime,
        "timedelta": dt.timedelta,
        "Decimal": decimal.Decimal,
    }
    names |= {"Fraction": fractions.Fraction, "nan": math.nan, "inf": math.inf, "true": True, "null": None}
    value = None if vector["value"].startswith("null (") else eval(vector["value"], names)
    assert canonical(value).decode() == vector["canonical"]
    assert config_hash(value) == vector["hash"] == hashlib.sha256(vector["canonical"].encode()).hexdigest()


def test_same_hash_in_every_process():
    code = "from reprokit.model.canonical import config_hash; print(config_hash({'a': {3, 'x', 1.5}, 'b': [b'1', None], 5: 'y'}))"
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**env, "PYTHONHASHSEED": str(seed)}, capture_output=True, check=True
        ).stdout
        for seed in range(4)
    }
    assert len(found) == 1


@dataclass(frozen=True)
class Data:
    depth: int = 3
    rate: float = 0.5


class Struct(msgspec.Struct):
    depth: int = 3
    rate: float = 0.5


Tuple = namedtuple("Tuple", "depth rate")


class Colour(enum.Enum):
    RED = 1


def models():
    attrs = pytest.importorskip("attrs")
    omegaconf = pytest.importorskip("omegaconf")
    pydantic = pytest.importorskip("pydantic")

    @attrs.define
    class Attrs:
        depth: int = 3
        rate: float = 0.5

    class Pydantic(pydantic.BaseModel):
        depth: int = 3
        rate: float = 0.5

    yield from (Data(), Struct(), Attrs(), Pydantic(), argparse.Namespace(depth=3, rate=0.5))
    yield from (
        types.SimpleNamespace(depth=3, rate=0.5),
        OrderedDict(rate=0.5, depth=3),
        types.MappingProxyType({"depth": 3, "rate": 0.5}),
    )
    yield from (omegaconf.OmegaConf.create({"depth": 3, "half": 0.5, "rate": "${half}"}),)
    yield {"depth": np.int64(3), "rate": np.float32(0.5)}


def test_models_count_as_the_mapping_of_their_fields():
    wanted = config_hash({"depth": 3, "rate": 0.5})
    for model in models():
        expected = wanted if "half" not in plain(model) else config_hash({"depth": 3, "half": 0.5, "rate": 0.5})
        assert config_hash(model) == expected, model


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (True, 1),
        (1, "1"),
        (2**53, float(2**53)),
        (0.0, -0.0),
        (b"a", "a"),
        ([1], {1}),
        ({"1": 2}, {1: 2}),
        ({"$reprokit:int": "9007199254740992"}, 2**53),
        (PurePosixPath("a"), "a"),
        (dt.date(2026, 1, 1), "2026-01-01"),
        (dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
        (Colour.RED, 1),
        (np.zeros(2), np.zeros((1, 2))),
        (np.zeros(2), np.zeros(2, np.float32)),
        (np.zeros(2), [0.0, 0.0]),
        (uuid.UUID(int=1), uuid.UUID(int=2)),
        (1 + 2j, 1 - 2j),
        (range(3), range(4)),
        (None, False),
    ],
)
def test_different_things_have_different_hashes(one, two):
    assert config_hash({"x": one}) != config_hash({"x": two})


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ((1, 2), [1, 2]),
        (Tuple(3, 0.5), [3, 0.5]),
        (1, 1.0),
        (PurePosixPath("a/b"), PureWindowsPath("a\\b")),
        (np.arange(3), np.arange(6)[::2] // 2),
        (np.arange(3, dtype=">i8"), np.arange(3, dtype="<i8")),
        (np.asfortranarray(np.eye(3)), np.eye(3)),
        (np.bool_(True), True),
        (frozenset({1, 2}), {2, 1}),
    ],
)
def test_same_things_have_one_hash(one, two):
    assert config_hash({"x": one}) == config_hash({"x": two})


@pytest.mark.parametrize("bad", [object(), int, len, lambda: 1, iter([]), open])
def test_what_has_no_form_is_named_by_its_place(bad):
    with pytest.raises(ConfigError, match=r"config\['model'\]\['layers'\]\[1\]: .* no canonical form"):
        config_hash({"model": {"layers": [1, bad]}})


def test_cycles_and_depth():
    cycle = {}
    cycle["self"] = [cycle]
    with pytest.raises(ConfigError, match=r"config\['self'\]\[0\].*contains itself"):
        config_hash(cycle)
    deep = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ConfigError, match="nested"):
        config_hash(deep)
    shared = [1]
    assert config_hash({"a": shared, "b": shared}) == config_hash({"a": [1], "b": [1]})


def test_a_huge_integer_has_a_hash():
    assert config_hash({"x": 10**5000}) != config_hash({"x": 10**5000 + 1})


def test_paths_that_are_no_utf_8():
    assert config_hash({"x": os.fsdecode(b"\xff")}) != config_hash({"x": os.fsdecode(b"\xfe")})
    assert config_hash({"x": Path(os.fsdecode(b"\xff"))})
