"""Digests of arrays, tensors and images."""

from __future__ import annotations

import hashlib
import io
import pickle
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprokit.capture.values import UnknownValueError, tell

np = pytest.importorskip("numpy")


def digest(value: object) -> str:
    return tell(value).digest


def different(*values: object) -> bool:
    """Tell whether no two of the values share a digest."""
    return len({digest(value) for value in values}) == len(values)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_kinds_of_scalars_and_arrays_are_kept_apart():
    """hamilton #1616: the same bytes under another shape or dtype; cachier, streamlit: scalars and arrays."""
    assert different(
        1, 1.0, True, np.float64(1), np.float32(1), np.int64(1), np.int32(1), np.uint8(1), np.bool_(True), np.array(1), np.array(1.0), np.array([1]),
        np.array([[1]]), np.array([1.0]), [1], np.longdouble(1), np.clongdouble(1), np.complex64(1), np.float16(1), np.str_("1"), "1", np.bytes_(b"1"), b"1",
        np.datetime64(1, "s"), np.datetime64(1, "D"), np.timedelta64(1, "s"), np.datetime64("NaT", "s"), np.timedelta64("NaT", "s"), np.array(["1"]), np.array(["1"], "U2"),
        np.array([b"1"]), np.array(["1"], object), np.array([1], object), np.array([None], object), np.array([1], ">i8"), np.array([1], "M8[s]"), np.array([1], "M8[ms]"),
        np.matrix([[1]]), np.ma.array([1]), np.ma.array([1], mask=[True]), np.ma.array([2], mask=[True]), np.ma.array([1], mask=[False], fill_value=7),
        np.zeros(0), np.zeros((0, 1)), np.zeros((1, 0)), np.zeros(0, "f4"), np.void(b"1"), np.zeros(1, "V3"), np.zeros(1, "V4"),
        np.array([(1, 2.0)], [("a", int), ("b", float)]), np.array([(1, 2.0)], [("a", int), ("c", float)]), np.rec.array([(1, 2.0)], [("a", int), ("b", float)]),
        np.array([(1, "x")], [("a", int), ("b", object)]), np.array([(1, "y")], [("a", int), ("b", object)]), np.arange(6), np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2),
        np.dtype("f8"), np.dtype("f4"), np.dtype([("a", "f8")]), np.float64, np.sin, np.cos, np.mean, np.array([0.0]), np.array([-0.0]), np.array([np.nan]),
        np.frombuffer(bytes.fromhex("010000000000f87f")),
    )  # fmt: skip


def test_layout_counts_as_c_or_fortran_order_alone():
    base = np.arange(24.0).reshape(4, 6)
    assert digest(base) == digest(base.copy()) == digest(np.repeat(base, 2, axis=1)[:, ::2]) == digest(base[::-1][::-1])
    assert digest(base[:, ::2]) == digest(base[:, ::2].copy()) != digest(base[:, 1::2])
    assert digest(base[::-1]) == digest(base[::-1].copy()) != digest(base)
    assert digest(np.asfortranarray(base)) == digest(base.T.copy().T) != digest(base)
    assert digest(np.broadcast_to(np.arange(3), (4, 3))) == digest(np.tile(np.arange(3), (4, 1)))
    large = np.arange(1_000_000).reshape(1000, 1000)
    assert digest(large[:, ::3]) == digest(large[:, ::3].copy())


@given(st.lists(st.integers(0, 255), min_size=1, max_size=600), st.data())
def test_any_changed_byte_is_seen(values, data):
    """streamlit #14622: large arrays were sampled."""
    array = np.array(values, "u1")
    changed = array.copy()
    changed[data.draw(st.integers(0, len(values) - 1))] ^= 1
    assert digest(array) == digest(np.array(values, "u1")) != digest(changed)


def test_a_change_anywhere_in_a_large_array_is_seen():
    array = np.zeros(600_000)
    before = digest(array)
    for place in (0, 1, 299_999, 599_999):
        array[place] = 1
        assert digest(array) != before
        array[place] = 0
    assert digest(array) == before


def test_bytes_that_say_nothing_do_not_count():
    dtype = np.dtype([("a", "i1"), ("b", "f8"), ("c", "g")], align=True)
    first, second = (
        np.frombuffer(bytearray(b"\x00" * dtype.itemsize * 2), dtype),
        np.frombuffer(bytearray(b"\xff" * dtype.itemsize * 2), dtype),
    )
    for array in (first, second):
        array["a"], array["b"], array["c"] = 1, 2, 3
    assert digest(first) == digest(second)
    noise = np.array([1, 2, 3, 4], "g")
    if np.finfo("g").nmant == 63:  # x86
        noise.view("u1").reshape(4, -1)[:, 10:] = 255
    assert digest(noise) == digest(np.array([1, 2, 3, 4], "g")) != digest(np.array([1, 2, 3, 5], "g"))
    assert different(np.array([1], "g"), np.array([1], np.dtype("g").newbyteorder()), np.array([1], "G"))


def test_a_memory_map_is_an_array(tmp_path):
    mapped = np.memmap(tmp_path / "a", "f8", "w+", shape=(3, 4))
    mapped[:] = 1
    assert digest(mapped) == digest(np.ones((3, 4)))


def test_looking_at_a_masked_array_changes_nothing():
    masked = np.ma.array([1.0, 2.0], mask=[True, False])
    before = digest(masked)
    assert masked.fill_value == 1e20
    assert digest(masked) == before


def test_who_holds_a_scalar_or_a_dtype_does_not_count():
    """joblib #231, #393, #1080."""
    number = np.int64(10)
    assert digest({"a": number, "b": number}) == digest({"a": number, "b": np.int64(10)})
    state = [np.float64(0), np.zeros(2), np.zeros(2)]
    assert digest(state) == digest(pickle.loads(pickle.dumps(state)))
    assert digest(np.array(["aa", "".join("aa")], object)) == digest(np.array(["aa", "aa"], object))


def test_a_subclass_of_an_array_counts_with_its_attributes():
    class Unit(np.ndarray):
        pass

    first, second = np.ones(2).view(Unit), np.ones(2).view(Unit)
    first.unit, second.unit = "m", "s"
    assert different(first, second, np.ones(2))
    assert Unit in tell(first).code


def test_random_generators_count_with_their_state():
    first, second = np.random.default_rng(1), np.random.default_rng(1)
    assert digest(first) == digest(second) == digest(pickle.loads(pickle.dumps(first)))
    first.random()
    assert digest(first) != digest(second)
    before = digest(second)
    second.spawn(1)
    assert digest(second) != before  # the next that it spawns is another
    assert different(
        np.random.RandomState(1),
        np.random.RandomState(2),
        np.random.default_rng(1),
        np.random.Generator(np.random.MT19937(1)),
        np.random.SeedSequence(1),
    )
    assert tell(first).mutable


def test_ufuncs_made_by_the_user_are_refused():
    with pytest.raises(UnknownValueError):
        tell(np.frompyfunc(lambda x: x, 1, 1))


def test_a_large_array_is_digested_where_it_lies():
    array = np.ones(4_000_000)
    values = [array, np.asfortranarray(array.reshape(2000, 2000)), array.reshape(2000, 2000)[:, ::2]]
    for value in values:
        tell(value)
        tracemalloc.start()
        tell(value)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2_000_000


def test_text_arrays_of_numpy_2():
    if not hasattr(np.dtypes, "StringDType"):
        pytest.skip("NumPy 1")
    kind = np.dtypes.StringDType
    assert digest(np.array(["a", "b"], kind())) == digest(np.array(["a", "xb"[1:]], kind()))
    assert different(
        np.array(["a"], kind()), np.array(["b"], kind()), np.array(["a"]), np.array(["a"], kind(na_object=None))
    )


def test_images():
    """streamlit #14622: the palette of an image was left out."""
    images = pytest.importorskip("PIL.Image")
    black, red = images.new("P", (2, 2)), images.new("P", (2, 2))
    black.putpalette([0, 0, 0])
    red.putpalette([255, 0, 0])
    noted = images.new("RGB", (2, 2))
    noted.info["dpi"] = (72, 72)
    assert different(
        black,
        red,
        images.new("RGB", (2, 2)),
        images.new("RGB", (2, 2), (0, 0, 1)),
        images.new("RGB", (4, 1)),
        images.new("L", (2, 2)),
        noted,
    )
    assert digest(black) == digest(black.copy())
    file = io.BytesIO()
    images.new("RGB", (2, 2)).save(file, "PNG")
    opened = images.open(file)
    with pytest.raises(UnknownValueError, match="not loaded"):
        tell(opened)
    opened.load()
    assert digest(opened) == digest(opened)


@pytest.mark.filterwarnings("ignore:Sparse CSR")
def test_tensors():
    torch = pytest.importorskip("torch")
    t = torch.tensor
    assert different(
        t([1.0]), t([1]), t([[1.0]]), t(1.0), t([1.0], dtype=torch.bfloat16), t([1.0], dtype=torch.float16), t([2.0]), t([True]), t([1.0], requires_grad=True), t([1j]),
        t([1j]).conj(), torch.nn.Parameter(t([1.0])), torch.empty(0), torch.empty(0, 1), torch.eye(2).to_sparse(), torch.eye(2).to_sparse_csr(), torch.eye(2), np.ones(1),
        torch.float32, torch.float64, torch.device("cpu"), torch.Generator().manual_seed(1), torch.Generator().manual_seed(2), t([1.0, 2.0, 3.0]), t([0.0]), t([-0.0]),
    )  # fmt: skip
    base = torch.arange(24.0).reshape(4, 6)
    assert digest(base) == digest(base.clone()) == digest(base.T.clone().T) == digest(torch.arange(24.0).reshape(4, 6))
    assert digest(base[:, ::2]) == digest(base[:, ::2].clone())
    assert digest(t([1j]).conj()) == digest(t([complex(0, -1)]))
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 2)
    before = digest(model)
    assert digest(pickle.loads(pickle.dumps(model))) == before
    with torch.no_grad():
        model.weight += 1
    assert digest(model) != before
    with pytest.raises(UnknownValueError, match="meta"):
        tell(torch.empty(2, device="meta"))


def test_small_arrays_are_no_digest_of_their_bytes_alone():
    data = np.arange(3, dtype="u1")
    assert digest(data)[7:] != hashlib.sha256(data.tobytes()).hexdigest()
