"""Arguments that are huge, shared, lazy or secret: the call is never held up, and no part of a secret is kept."""

from __future__ import annotations

import enum
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprokit.capture import arguments, describe
from reprokit.model.redact import Redactor

KEY = "ghp_" + "a1B2c3D4e5" * 3 + "zz9988"


@pytest.mark.parametrize(("width", "depth"), [(1000, 6), (2, 19), (30, 19)])
def test_containers_that_share_parts_are_cut_before_they_multiply(width, depth):
    value = [0]
    for _ in range(depth):
        value = [value] * width
    plain, exact = arguments.describe(value)
    assert not exact
    assert len(json.dumps(plain)) < 500_000


def test_shared_parts_in_dicts_are_cut_too():
    value = {"x": 0}
    for _ in range(19):
        value = {"left": value, "right": value}
    plain, exact = arguments.describe(value)
    assert not exact
    assert len(json.dumps(plain)) < 500_000


def test_text_is_bounded_over_the_whole_argument():
    plain, exact = arguments.describe(["x" * 9_999] * 1_000)
    assert not exact
    assert len(json.dumps(plain)) < 500_000


def test_a_long_list_is_not_copied():
    import tracemalloc

    value = [0] * 5_000_000
    tracemalloc.start()
    plain, exact = arguments.describe(value)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (plain["len"], len(plain["items"]), exact) == (5_000_000, describe.MOST_ITEMS, False)
    assert peak < 1_000_000


@given(st.integers(0, 400), st.sampled_from(["{}", "token={}", "https://ada:{}@host/x", "('{}',)"]))
def test_no_part_of_a_secret_is_left_where_a_repr_is_cut(before, form):
    class Client:
        def __repr__(self):
            return "y" * before + " " + form.format(KEY) + " tail" * 100

    text = json.dumps(arguments.call((Client(),), {}, Redactor()).args)
    assert KEY[:8] not in text


@given(st.integers(9_900, 10_050))
def test_no_part_of_a_secret_is_left_where_long_text_is_cut(before):
    text = "y " * (before // 2) + KEY + " z" * 500
    assert KEY[:8] not in json.dumps(arguments.call((text,), {"text": text}, Redactor()).args)


def test_a_secret_is_one_by_its_parameters_name_also_by_position():
    call = arguments.call(("ada", "correct horse", 5), {}, Redactor(), ("user", "password", "n"))
    assert call.args == ["ada", "<redacted>", 5]
    assert call.redacted == ["args[1]"]


def test_a_number_is_a_secret_too():
    call = arguments.call((), {"password": 987654, "num_tokens": 512}, Redactor())
    assert call.kwargs == {"password": "<redacted>", "num_tokens": 512}
    assert call.redacted == ["kwargs['password']"]


def test_a_lazy_proxy_is_not_resolved():
    asked = []

    class Lazy:
        @property
        def __class__(self):
            asked.append(self)
            return dict

    plain, exact = arguments.describe([Lazy()])
    assert not exact
    assert "Lazy" in json.dumps(plain)
    assert not asked


def test_a_dimension_that_is_not_known_yet_is_not_computed(monkeypatch):
    class Size:
        def __int__(self):
            raise AssertionError("this would start the computation")

        __index__ = __int__

    Frame = type("Frame", (), {"__module__": "dask.dataframe", "shape": (Size(), 3)})
    assert arguments.describe(Frame())[0] == {"$type": f"dask.dataframe.{Frame.__qualname__}", "shape": [None, 3]}


def test_names_that_json_cannot_hold_and_hostile_classes_are_survived():
    class Named:
        pass

    Named.__qualname__ = "\udcff"

    class Meta(type):
        @property
        def __module__(cls):
            raise ValueError

    class Hostile(metaclass=Meta):
        pass

    call = arguments.call((Named, Named(), Hostile, Hostile()), {"\udcff": 1}, Redactor())
    json.dumps([call.args, call.kwargs, call.inexact], ensure_ascii=False).encode()
    assert call.kwargs == {r"\udcff": 1}


def test_a_path_is_kept_whole():
    path = Path("/" + "folder/" * 300 + "x")
    assert arguments.describe(path)[0]["text"] == str(path)


def test_nothing_is_imported_for_the_occasion():
    before = set(sys.modules)
    arguments.describe([Path("a"), b"x", {1}, object()])
    assert not {"numpy", "torch", "pandas", "dask"} & (set(sys.modules) - before)


def test_keys_that_look_alike_are_all_kept():
    plain, exact = arguments.describe({1: "a", "1": "b", b"k": "c"})
    assert not exact
    assert sorted(plain.values()) == ["a", "b", "c"]
    assert "b'k'" in plain


def test_one_odd_item_costs_only_its_own_description():
    class Odd(enum.Enum):
        A = 1

        @property
        def value(self):
            raise RuntimeError("no")

    plain, exact = arguments.describe([1, Odd.A, 2])
    assert not exact
    assert plain[0] == 1
    assert plain[2] == 2


def test_columns_named_like_facts_of_arrays_are_not_shown():
    pandas = pytest.importorskip("pandas")
    plain, _ = arguments.describe(pandas.DataFrame({"dtype": ["x"], "device": ["Hunter2-secret"]}))
    assert "Hunter2" not in str(plain)
    assert plain["shape"] == [1, 2]


def test_a_secret_is_taken_out_wherever_the_call_shows_it():
    found = arguments.call(
        ("log in with Qx77aa1", b"Qx77aa2"), {"api_key": "Qx77aa1", "password": b"Qx77aa2", "n": 3}, Redactor()
    )
    assert found.args[0] == "log in with <redacted>"
    assert found.kwargs == {"api_key": "<redacted>", "password": "<redacted>", "n": 3}
    assert found.redacted == ["args[0]", "kwargs['api_key']", "kwargs['password']"]


def test_a_positional_name_makes_the_next_argument_secret():
    found = arguments.call(("Authorization", "Qx77aa1", "token", "word"), {}, Redactor())
    assert found.args == ["Authorization", "<redacted>", "token", "word"]
    assert found.redacted == ["args[1]"]


def test_a_secret_that_is_cut_leaves_no_beginning():
    found = arguments.call(("x " * 5_000 + "correct horse battery",), {"password": "correct horse battery"}, Redactor())
    assert "correct" not in str(found.args)
    found = arguments.call(("y" * 9_990 + " correct horse battery",), {"password": "correct horse battery"}, Redactor())
    assert "correct" not in str(found.args)
