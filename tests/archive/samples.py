"""Classes and strategies that the tests of archives share; importable, as archived classes have to be."""

from __future__ import annotations

import collections
import dataclasses
import datetime  # noqa: ICN001
import decimal
import enum
import fractions
import math
import pathlib
import uuid
import zoneinfo

import attrs
import msgspec
import numpy as np
import pydantic
from hypothesis import strategies as st

from reprokit.archive import Archivable


@dataclasses.dataclass
class Point:
    x: object
    y: object = None


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: object
    y: object = 0


@dataclasses.dataclass
class Derived:
    x: int
    twice: int = dataclasses.field(init=False)

    def __post_init__(self):
        self.twice = 2 * self.x
        self.extra = "made by __post_init__"


@attrs.define
class Measured:
    value: object
    _unit: str = "m"


class Model(pydantic.BaseModel):
    a: int
    b: dict | None = None


class Packet(msgspec.Struct):
    a: int
    b: list


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Right(enum.Flag):
    READ = 1
    WRITE = 2
    RUN = 4


class Level(enum.IntEnum):
    LOW = 1


Pair = collections.namedtuple("Pair", "first second")


class MyDict(dict):
    pass


class MyList(list):
    pass


class MyTuple(tuple):
    __slots__ = ()


class MyInt(int):
    pass


class Grid(Archivable):
    def __init__(self, n, box):
        self.n, self.box = n, box

    def __eq__(self, other):
        return type(other) is Grid and vars(self) == vars(other)

    __hash__ = None


class Rep:
    """Says itself how it is rebuilt."""

    def __init__(self, d, items):
        self.d, self.items = d, items

    def get_persistent_rep(self, env=None):
        return "Rep(d=d, items=items)", {"d": self.d, "items": self.items}, [(__name__, "Rep", "Rep")]


class Parent:
    """Refers to its children, which refer to it, and has a constructor that nobody knows."""

    def __init__(self, children):
        self.children = children

    def get_persistent_rep(self, env=None):
        return "Parent(c)", {"c": self.children}, [(__name__, "Parent", "Parent")]


class Shown:
    """Has a repr that makes it again."""

    def __init__(self, a):
        self.a = a

    def __repr__(self):
        return f"Shown(a={self.a!r})"

    def method(self, x):
        return self.a * x


class Outer:
    class Inner(Shown):
        def __repr__(self):
            return f"Outer.Inner(a={self.a!r})"


class Opaque:
    def __init__(self):
        self.handle = object()


def function(x):
    return x + 1


CLASSES = [Point, Frozen, Derived, Measured, Model, Packet, Colour, Right, Level, Pair, MyDict, MyList, MyTuple, MyInt]

_text = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
_zones = st.sampled_from(
    [None, datetime.UTC, zoneinfo.ZoneInfo("Europe/Paris"), datetime.timezone(datetime.timedelta(hours=-3), "X")]
)
atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.complex_numbers(),
    _text,
    st.binary(max_size=8),
    st.just(...),
)
keys = st.one_of(
    st.integers(-5, 5),
    _text,
    st.binary(max_size=3),
    st.sampled_from(
        [Colour.RED, Right.READ | Right.RUN, Level.LOW, (1, "a"), frozenset({1, 2}), pathlib.PurePosixPath("a/b")]
    ),
)
_dtypes = st.sampled_from(["?", "i1", "u8", ">i4", "f2", "f4", "f8", ">f8", "c16", "M8[ns]", "m8[D]", "U3", "S2", "V5"])


@st.composite
def arrays(draw):
    """Arrays of all kinds and orders, empty and without dimensions too."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    dtype = np.dtype(draw(_dtypes))
    count = math.prod(shape)
    data = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
    if dtype.kind == "?" or dtype.kind == "b":
        data = bytes(one & 1 for one in data)
    if dtype.kind == "U":
        data = np.frombuffer(data, np.uint32) % 0xD000
        data = data.astype(np.uint32).tobytes()
    made = np.frombuffer(bytearray(data), dtype).reshape(shape) if count else np.zeros(shape, dtype)
    return np.asfortranarray(made) if draw(st.booleans()) and made.ndim > 1 else made


values = st.one_of(
    st.decimals(),
    st.fractions(),
    st.datetimes(timezones=_zones),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from(
        [
            Colour.BLUE,
            Right.READ | Right.WRITE,
            Level.LOW,
            pathlib.Path("/x/y"),
            range(1, 9, 2),
            slice(None, 3),
            MyInt(7),
        ]
    ),
    st.binary(max_size=5).map(bytearray),
    arrays(),
    st.sampled_from(
        [
            np.float64(0.1),
            np.float32(1.5),
            np.int8(-3),
            np.bool_(True),
            np.complex64(1 - 2j),
            np.datetime64("2020-01-01"),
            np.str_("s"),
        ]
    ),
)
leaves = st.one_of(atoms, values)


def _containers(inner):
    dicts = st.dictionaries(keys, inner, max_size=4)
    lists = st.lists(inner, max_size=4)
    return st.one_of(
        lists,
        dicts,
        lists.map(tuple),
        st.sets(keys, max_size=4),
        st.frozensets(keys, max_size=4),
        dicts.map(collections.OrderedDict),
        lists.map(lambda one: collections.deque(one, 10)),
        dicts.map(lambda one: collections.defaultdict(list, one)),
        dicts.map(MyDict),
        lists.map(MyList),
        lists.map(lambda one: MyTuple(one)),
        st.builds(Point, inner, inner),
        st.builds(Frozen, inner, inner),
        st.builds(Measured, inner),
        st.builds(Pair, inner, inner),
        st.builds(lambda a, b: Packet(1, [a, b]), inner, inner),
        st.builds(lambda a: Model(a=3, b={"k": a}), inner),
        inner.map(lambda one: [one, one]),  # shared
        inner.map(lambda one: {"a": one, "b": (one, [one])}),
    )


nests = st.recursive(leaves, _containers, max_leaves=12)


def same(one, other, pairs=None):
    """Whether two objects are equal with the same types, and share in the same places."""
    pairs = {} if pairs is None else pairs
    if type(one) is not type(other):
        return False
    mutable = isinstance(
        one, (list, dict, set, bytearray, collections.deque, np.ndarray, Point, Measured, Model, Packet)
    )
    if mutable:
        if id(one) in pairs:
            return pairs[id(one)][1] is other
        pairs[id(one)] = (one, other)
    if isinstance(one, np.ndarray):
        order = one.ndim < 2 or one.size == 0 or one.flags.f_contiguous == other.flags.f_contiguous
        return one.dtype == other.dtype and one.shape == other.shape and order and one.tobytes() == other.tobytes()
    if isinstance(one, (np.generic, float, complex, decimal.Decimal)):
        return repr(one) == repr(other)
    if isinstance(one, dict):
        return (
            len(one) == len(other)
            and all(same(a, b, pairs) and same(one[a], other[b], pairs) for a, b in zip(one, other, strict=True))
            and getattr(one, "default_factory", None) is getattr(other, "default_factory", None)
        )
    if isinstance(one, (list, tuple, collections.deque)):
        return (
            len(one) == len(other)
            and all(same(a, b, pairs) for a, b in zip(one, other, strict=True))
            and getattr(one, "maxlen", None) == getattr(other, "maxlen", None)
        )
    if isinstance(one, (set, frozenset)):
        return one == other
    if isinstance(one, (Point, Frozen)):
        return same(one.x, other.x, pairs) and same(one.y, other.y, pairs)
    if isinstance(one, Measured):
        return same(one.value, other.value, pairs) and one._unit == other._unit
    if isinstance(one, Model):
        return one.a == other.a and same(one.b, other.b, pairs) and one.model_fields_set == other.model_fields_set
    if isinstance(one, Packet):
        return one.a == other.a and same(one.b, other.b, pairs)
    if isinstance(one, (datetime.datetime, datetime.time)):
        return repr(one) == repr(other)
    return one == other


__all__ = ["fractions", "uuid"]
