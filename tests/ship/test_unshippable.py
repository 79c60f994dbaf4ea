"""An error names the place of what can't be pickled."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections import namedtuple

import pytest

from reprokit.errors import ShipError, UnshippableError
from reprokit.ship.pickling.pickler import Sender
from reprokit.ship.pickling.unshippable import call_parts

LOCK = threading.Lock()
Pair = namedtuple("Pair", "left right")


@dataclasses.dataclass
class Holder:
    inner: object
    other: object = None

    def method(self):
        return self.inner


class Slotted:
    __slots__ = ("bad",)


class Refuses:
    def __getstate__(self):
        raise ValueError("not me")


def slotted():
    made = Slotted()
    made.bad = LOCK
    return made


def closure():
    guard = LOCK
    return lambda: guard


def looping():
    made = {"me": None, "list": []}
    made["me"] = made
    made["list"].append(made)
    made["list"].append(LOCK)
    return made


PLACES = {
    "value": (lambda: LOCK, "_thread.lock"),
    "value['lock']": (lambda: {"a": 1, "lock": LOCK}, "_thread.lock"),
    "value['a'][2]['b']": (lambda: {"a": [1, 2, {"b": LOCK}]}, "_thread.lock"),
    "value[1]": (lambda: ("a", LOCK), "_thread.lock"),
    "value.right": (lambda: Pair(1, LOCK), "_thread.lock"),
    "value.inner": (lambda: Holder(LOCK), "_thread.lock"),
    "value.inner.other['x']": (lambda: Holder(Holder(1, {"x": LOCK})), "_thread.lock"),
    "value.bad": (slotted, "_thread.lock"),
    "value.args[0]": (lambda: functools.partial(print, LOCK), "_thread.lock"),
    "value.keywords['end']": (lambda: functools.partial(print, end=LOCK), "_thread.lock"),
    "value.__self__.inner": (lambda: Holder(LOCK).method, "_thread.lock"),
    "value, variable 'guard'": (closure, "_thread.lock"),
    "value['list'][1]": (looping, "_thread.lock"),
    "value[70000]": (lambda: [*range(70_000), LOCK, *range(70_000)], "_thread.lock"),
    "value[1][0]": (lambda: [1, (x for x in "a")] and [1, [(x for x in "a")]], "generator"),
    "value[0]": (lambda: [Refuses()], f"{__name__}.Refuses"),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_innermost_place_is_named(place):
    make, kind = PLACES[place]
    with pytest.raises(UnshippableError) as caught:
        Sender().dumps(make())
    assert caught.value.args[:2] == (place, kind)
    assert isinstance(caught.value, TypeError)
    assert caught.value.__cause__ is not None, "what pickle said is there as well"


def test_the_remedy_is_named():
    with pytest.raises(UnshippableError, match="make it where the task runs"):
        Sender().dumps([LOCK])
    with pytest.raises(UnshippableError, match="send a list of what it would give"):
        Sender().dumps({"lazy": (x for x in "a")})
    with open(__file__, "rb") as stream, pytest.raises(UnshippableError, match="send the path"):
        Sender().dumps({"file": stream})


@pytest.mark.parametrize(
    ("call", "place"),
    [
        ((repr, (1, {"lock": LOCK}), {}), "argument 2['lock']"),
        ((repr, (), {"end": [LOCK]}), "argument 'end'[0]"),
        ((closure(), (), {}), "function, variable 'guard'"),
        ((repr, [(1,), (LOCK,)]), "call 2[0]"),
    ],
)
def test_parts_of_a_call_have_the_names_that_a_user_knows(call, place):
    with pytest.raises(UnshippableError) as caught:
        Sender().dumps(call, parts=call_parts)
    assert caught.value.args[0] == place


def test_too_deep_an_object_is_refused_like_any_other():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(UnshippableError, match="recursion"):
        Sender().dumps(deep)
    while deep:
        deep = deep.pop()


def test_an_error_that_speaks_for_itself_stays_as_it_is():
    class Odd:
        def __reduce__(self):
            raise ShipError("said so")

    with pytest.raises(ShipError, match="said so") as caught:
        Sender().dumps([Odd()])
    assert not isinstance(caught.value, UnshippableError)
