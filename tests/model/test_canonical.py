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
    names |= {"array": np.array, "datetime64": np.datetime64}
    names["masked"] = lambda items, mask: np.ma.array(np.array(items, "<i8"), mask=mask)
    names["padded"] = lambda rows: np.array(rows, np.dtype([("a", "i1"), ("b", "<f8")], align=True))
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


# --- what is written in a way of its own -----------------------------------------------------------------------------


def in_other_process(code, **env):
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SOURCE), **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize("power", [600, 700, 2000, 4299, 4300, 5000])
def test_integers_are_written_alike_under_every_limit_of_the_interpreter(power):
    code = f"from reprokit.model.canonical import config_hash; print(config_hash([10**{power}, -(10**{power}) - 7]))"
    wanted = config_hash([10**power, -(10**power) - 7])
    for limit in ("640", "0", "100000"):
        assert in_other_process(code, PYTHONINTMAXSTRDIGITS=limit) == wanted


@given(st.integers(-(10**4000), 10**4000))
def test_long_integers_are_their_digits(value):
    written = plain(value)
    assert int(written[f"{TAG}int"] if isinstance(written, dict) else written) == value


def test_subclasses_of_numbers_and_texts_count_by_their_value():
    class Loud(int):
        def __int__(self):
            return 7

        def __str__(self):
            return "seven"

    class Shout(str):
        def __str__(self):
            return "x"

    class Rate(float):
        def __float__(self):
            return 1.0

    assert config_hash([Loud(3), Shout("a"), Rate(0.5)]) == config_hash([3, "a", 0.5])


def test_keys_that_are_written_alike_are_refused():
    with pytest.raises(ConfigError, match=r"config\['a'\]: two of its keys are written alike"):
        config_hash({"a": {math.nan: 1, float("nan"): 2}})
    with pytest.raises(ConfigError, match="written alike"):
        config_hash({PurePosixPath("a/b"): 1, PureWindowsPath("a\\b"): 2})
    assert config_hash({math.nan: 1}) == config_hash({float("nan"): 1})


def test_fields_that_cannot_be_read_are_named():
    @dataclass
    class Half:
        depth: int

    broken = Half(1)
    del broken.depth
    with pytest.raises(ConfigError, match=r"config\['m'\]: its fields cannot be read: .*depth"):
        config_hash({"m": broken})
    omegaconf = pytest.importorskip("omegaconf")
    with pytest.raises(ConfigError, match="cannot be read"):
        config_hash(omegaconf.OmegaConf.create({"a": "${nowhere}"}))


def test_too_deep_for_the_open_calls_is_a_config_error():
    code = """
import sys
from reprokit.errors import ConfigError
from reprokit.model import canonical
value = {}
for _ in range(150):
    value = {"a": value}
plain = canonical.plain(value)
sys.setrecursionlimit(100)
for call, arg in ((canonical.plain, value), (canonical.hash_of_plain, plain), (canonical.canonical, value)):
    try:
        call(arg)
    except ConfigError as error:
        print(error)
"""
    assert in_other_process(code).splitlines() == ["config: it is nested too deep for the calls that are open here"] * 3


PADDED = np.dtype([("a", "i1"), ("b", "<f8")], align=True)


def padded(junk):
    raw = np.full(PADDED.itemsize * 2, junk, np.uint8)
    made = raw.view(PADDED)
    made["a"], made["b"] = [1, 2], [0.5, 1.5]
    return made


def longs(junk):
    raw = np.full(np.dtype(np.longdouble).itemsize * 2, junk, np.uint8)
    made = raw.view(np.longdouble)
    made[:] = [1, 2]
    if np.finfo(np.longdouble).nmant == 63:  # 80 bits in 16 bytes
        raw.reshape(2, -1)[:, 10:] = junk
    return made


def test_bytes_that_mean_nothing_do_not_count():
    assert config_hash({"x": padded(0)}) == config_hash({"x": padded(255)})
    assert config_hash({"x": longs(0)}) == config_hash({"x": longs(255)})
    assert config_hash({"x": longs(0)[0]}) == config_hash({"x": longs(255)[0]})
    one, two = np.ma.array([1, 2, 3], mask=[0, 1, 0]), np.ma.array([1, 9, 3], mask=[0, 1, 0])
    assert config_hash({"x": one}) == config_hash({"x": two})


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (padded(0), padded(0)[::-1]),
        (padded(0), padded(0).astype([("a", "i1"), ("c", "<f8")])),
        (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[0, 0])),
        (np.ma.array([1, 2], mask=[0, 0]), np.array([1, 2])),
        (np.ma.array([1, 0], mask=[0, 1]), np.ma.array([1, 0], mask=[0, 0])),
        (np.array([1, 2], np.longdouble), np.array([1, 3], np.longdouble)),
        (np.longdouble(1) / 3, np.longdouble(1.0 / 3)),
    ],
)
def test_different_arrays_have_different_hashes(one, two):
    assert config_hash({"x": one}) != config_hash({"x": two})


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="NumPy 2 has it")
def test_arrays_of_texts_count_by_their_texts():
    def made(*texts):
        return np.array(texts, dtype=np.dtypes.StringDType())

    long = "x" * 100
    assert config_hash({"x": made(long, "b")}) == config_hash({"x": made(long, "b")})
    assert config_hash({"x": made(long, "b")}) != config_hash({"x": made(long, "c")})
    assert config_hash({"x": made("a", "b")}) != config_hash({"x": ["a", "b"]})


def test_arrays_of_unknown_kinds_are_refused():
    class Quantity(np.ndarray):
        unit = "m"

    with pytest.raises(ConfigError, match=r"config\['x'\]: .*Quantity has no canonical form"):
        config_hash({"x": np.arange(3).view(Quantity)})


def test_nanoseconds_of_pandas_count():
    pandas = pytest.importorskip("pandas")
    assert config_hash({"x": pandas.Timedelta(1, "ns")}) != config_hash({"x": pandas.Timedelta(0)})
    assert config_hash({"x": pandas.Timedelta(1, "s")}) == config_hash({"x": dt.timedelta(seconds=1)})


EARLIER = {
    "dense": "8dac1045ea32b0e4766a73ae64a746c75aa8349908d3d5efb178ce9c51d037d6",
    "record": "d1df86d29d5dbd7f7f640c218f634114dbe17db50ae99da6bede553f2125cb03",
    "array": "53e86f3393c86db189744faaaf00e9ea88b0f13e31f87c5e8eeb61372ef57494",
    "long": "bb97092ddf833efaba8ac58a6ae773a2f8e81a3146d699def1e72f7e3468708c",
    "pairs": "c371e95044adde8a00708592efe9ff82b58355ef925958ce292088f30f828178",
    "text": "18867b6765856be1bd4ad1c0d3765a1e6a7c60f16a385efb1f7240756306d38a",
}


def test_hashes_of_earlier_versions_stay():
    """Written down when these forms came in; the documentation's vectors hold the others."""
    dense = np.array([(1, 0.5)], dtype=[("a", "<i4"), ("b", "<f8")])
    found = {
        "dense": config_hash({"x": dense}),
        "record": config_hash({"x": dense[0]}),
        "array": config_hash({"x": np.arange(3, dtype="<i8")}),
        "long": config_hash({"x": 3**5000}),
        "pairs": config_hash({1: 2, None: 3, "a": 4}),
        "text": config_hash({"x": np.str_("a"), "y": np.array(["a", "bc"])}),
    }
    assert found == EARLIER
