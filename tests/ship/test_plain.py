"""`ship.dumps` and `ship.loads`: an envelope that checks itself."""

from __future__ import annotations

import pickle
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reprokit.ship as ship
from reprokit.errors import BundleMissingError, BundleTooLargeError, CodeMismatchError, ShipError
from reprokit.ship import plain

FILES = {"pkg/__init__.py": "", "pkg/work.py": "N = 1\ndef f(n):\n    return n + N\n"}
VALUE = {"a": [1, 2.5, None, "x"], "b": (b"bytes", {1, 2})}


@pytest.fixture(autouse=True)
def _in_a_project(make_project):
    make_project(FILES).enter("pkg")


@given(
    st.recursive(st.none() | st.integers() | st.text() | st.binary(), lambda inner: st.lists(inner) | st.tuples(inner))
)
@settings(max_examples=50, deadline=None)
def test_what_is_dumped_is_loaded(value):
    assert ship.loads(ship.dumps(value)) == value


def test_bytearray_and_memoryview_are_read_too():
    data = ship.dumps(VALUE)
    assert ship.loads(bytearray(data)) == ship.loads(memoryview(data)) == VALUE


@pytest.mark.parametrize("data", [b"", b"x", pickle.dumps(1), b"PK\x03\x04" + bytes(100), plain.MAGIC[:-1]])
def test_other_bytes_are_refused(data):
    with pytest.raises(ShipError, match=r"not written by ship\.dumps"):
        ship.loads(data)


def test_every_truncation_is_refused():
    data = ship.dumps(VALUE)
    for length in range(len(data)):
        with pytest.raises(ShipError):
            ship.loads(data[:length])


def test_every_changed_byte_is_refused():
    data = ship.dumps(VALUE)
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(ShipError):
            ship.loads(changed)


def test_bytes_after_the_end_are_refused():
    with pytest.raises(CodeMismatchError, match="changed or cut off"):
        ship.loads(ship.dumps(VALUE) + b"\0")


def _signed(body, version=plain.VERSION, python=sys.version_info[:2]):
    """Give an envelope with a right digest around anything."""
    import hashlib

    head = plain._HEAD.pack(plain.MAGIC, version, *python, b"")
    return plain._HEAD.pack(plain.MAGIC, version, *python, hashlib.sha256(head + body).digest()) + body


@pytest.mark.parametrize(
    "body", [b"", b"\0" * 5, plain._BODY.pack(9, 0), plain._BODY.pack(0, 99), plain._BODY.pack(0, 0) + b"x"]
)
def test_parts_that_do_not_fit_are_refused(body):
    with pytest.raises(ShipError, match="don't fit together"):
        ship.loads(_signed(body))


def test_a_pickle_that_breaks_off_is_refused():
    with pytest.raises(ShipError, match="can't be read"):
        ship.loads(_signed(plain._BODY.pack(0, 3) + pickle.dumps(VALUE)[:3]))


def test_another_minor_version_of_python_is_refused_and_both_are_named():
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    with pytest.raises(CodeMismatchError, match=rf"expected 3\.99, found {here}"):
        ship.loads(_signed(plain._BODY.pack(0, 1) + b".", python=(3, 99)))


def test_a_later_form_is_refused():
    with pytest.raises(ShipError, match="use the same version of reprokit"):
        ship.loads(_signed(b"", version=plain.VERSION + 1))


def test_nothing_local_needs_no_bundle(make_project):
    assert len(ship.dumps(VALUE)) < len(pickle.dumps(VALUE)) + 100


def test_without_its_bundle_an_object_needs_a_process_that_has_it(worker):
    from pkg import work

    whole, without = ship.dumps(work.f), ship.dumps(work.f, bundle=False)
    assert len(without) < 250
    assert ship.loads(without) is work.f
    code = """
        import reprokit.ship as ship, reprokit.errors
        try: ship.loads(data)
        except reprokit.errors.BundleMissingError as error: print(error)
        """
    assert "send it along: ship.dumps(obj) does by default" in worker(code, without)
    assert BundleMissingError.__mro__[1] is ShipError
    assert worker("import reprokit.ship as ship; print(ship.loads(data)(1))", whole) == "2"
    assert worker("import reprokit.ship as ship; print(ship.loads(data)(1))", without) == "2", (
        "it is unpacked there now"
    )


def test_a_bundle_that_was_exchanged_is_refused(worker):
    """Also when the envelope around it is made to fit."""
    from pkg import work

    data = ship.dumps(work.f)
    body = bytearray(data[plain._HEAD.size :])
    at = bytes(body).index(b"n + N") if b"n + N" in body else len(body) // 2
    body[at] ^= 1
    code = """
        import reprokit.ship as ship, reprokit.errors, sys
        try: print(ship.loads(data)(1))
        except reprokit.errors.ShipError as error: print("refused:", type(error).__name__)
        """
    assert worker(code, _signed(bytes(body))).startswith("refused:")


def test_too_large_a_project_is_refused_and_its_largest_files_are_named(make_project):
    project = make_project(
        {**FILES, "pkg/big.txt": "x" * 4000, "reprokit.toml": "max-bundle-size = 1000\n"}, name="big"
    )
    project.enter("pkg")
    import pkg.work

    with pytest.raises(BundleTooLargeError, match=r"pkg/big\.txt \(4,000 bytes\)"):
        ship.dumps(pkg.work.f)
    assert ship.loads(ship.dumps(pkg.work.f, exclude="*.txt")) is pkg.work.f
