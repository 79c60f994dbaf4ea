"""Data sets: items, notes, names, and what another process or a plain interpreter sees of them."""

import json
import keyword
import multiprocessing
import os
import pickle
import string
import subprocess
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reprokit.archive import DataSet
from reprokit.archive.owner import own
from reprokit.errors import ArchiveError

np = pytest.importorskip("numpy")


@pytest.fixture
def scan(tmp_path):
    """The name of a data set that is not there yet."""
    return str(tmp_path / "scan")


def plain(folder, code):
    """Run code in an interpreter that knows numpy at most, with the data set's folder on its path."""
    code = f"import sys; sys.path.insert(0, {os.path.dirname(folder)!r}); import scan\n{code}"
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    return done.stdout.strip()


# Items and notes


def test_the_example_of_the_documentation(scan):
    ds = DataSet(scan, "w")
    ds.nxs = [10, 20]
    ds["nxs"] = "Particle numbers"
    assert ds._insert(np.ones(200), info=(10, 1.2)) == ["x_0"]
    assert sorted(ds) == ["nxs", "x_0"]
    assert "nxs" in ds
    assert "other" not in ds
    assert len(ds) == 2
    assert str(ds) == f"DataSet {os.path.join('.', scan)!r} containing ['nxs', 'x_0']"
    assert ds.nxs == [10, 20]
    assert (ds.x_0 == 1).all()
    assert ds["x_0"] == (10, 1.2)
    assert ds._info_dict == {"nxs": "Particle numbers", "x_0": (10, 1.2)}


@pytest.mark.parametrize("data_format", ["npy", "npz", "hdf5"])
def test_items_are_read_again_by_another_object(scan, data_format):
    if data_format == "hdf5":
        pytest.importorskip("h5py")
    values = {"big": np.arange(1000.0), "small": np.arange(3), "nest": {"a": [1, (2.5, None)], "b": np.zeros((20, 20))}}
    DataSet(scan, "w", data_format=data_format)._insert(**values)
    ds = DataSet(scan)
    assert (ds.big == values["big"]).all()
    assert (ds.small == values["small"]).all()
    assert ds.nest["a"] == [1, (2.5, None)]
    assert ds.nest["b"].shape == (20, 20)


def test_a_relative_name_and_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    DataSet("a/scan", "w").x = 1
    assert DataSet("scan", path="a").x == 1
    assert DataSet(tmp_path / "a" / "scan").x == 1
    DataSet("results", "w", path=tmp_path / "new").x = 2
    assert DataSet("new/results").x == 2


def test_each_access_reads_anew_and_changes_nothing(scan):
    ds = DataSet(scan, "w")
    ds.d = {"a": 1}
    ds.d["a"] = 6
    assert ds.d == {"a": 1}
    value = ds.d
    value["a"] = 6
    ds.d = value
    assert ds.d == {"a": 6}


def test_dir_offers_the_items_alone(scan):
    ds = DataSet(scan, "w")
    ds._insert(b=1, a=2)
    assert dir(ds) == ["a", "b"]
    assert list(ds) == ["b", "a"]
    assert ds._keys() == ["a", "b"]


def test_a_note_without_an_item(scan):
    ds = DataSet(scan, "w")
    ds["plan"] = "to be measured"
    assert ds["plan"] == "to be measured"
    assert ds.plan is None
    ds.plan = 5
    assert (ds["plan"], ds.plan) == ("to be measured", 5)
    assert DataSet(scan).plan == 5


def test_an_item_keeps_its_note_when_replaced_and_gets_none_at_first(scan):
    ds = DataSet(scan, "w")
    ds.x = 1
    assert ds["x"] is None
    ds["x"] = "first"
    ds.x = 2
    assert (ds["x"], ds.x) == ("first", 2)


NOTES = [
    None,
    "one\ntwo  # item",
    "_note('x')",
    (10, 1.2),
    {"a": [1, {2: b"\x00"}]},
    float("inf"),
    -0.0,
    1e308,
    10**400,
    {1, 2},
    np.arange(3),
    np.arange(1000),
    "\ud800 \u2028 \x85 \r",
    [[]] * 2,
    (),
    complex(1, float("inf")),
]


@pytest.mark.parametrize("note", NOTES, ids=range(len(NOTES)))
def test_notes_come_back_as_they_were(scan, note):
    DataSet(scan, "w")["x"] = note
    again = DataSet(scan)["x"]
    assert type(again) is type(note)
    assert np.array_equal(again, note) if isinstance(note, np.ndarray) else again == note
    assert repr(again) == repr(note)


def test_a_note_keeps_what_is_shared(scan):
    shared = [1]
    DataSet(scan, "w")["x"] = (shared, shared)
    first, second = DataSet(scan)["x"]
    assert first is second


def test_deleting(scan):
    ds = DataSet(scan, "w")
    ds._insert(x=np.arange(1000), y=2, info="n")
    ds["z"] = "alone"
    del ds.x
    assert sorted(ds) == ["y", "z"]
    with pytest.raises(AttributeError):
        ds.x
    del ds["y"]
    assert (ds["y"], ds.y) == (None, 2)
    del ds["z"]
    assert list(ds) == ["y"]
    with pytest.raises(KeyError):
        del ds["z"]
    with pytest.raises(AttributeError):
        del ds.x
    assert not [name for name in os.listdir(scan) if name.startswith("x")]
    assert DataSet(scan)._info_dict == {"y": None}
    ds.x = 5
    assert ds.x == 5


def test_replacing_leaves_no_old_data_behind(scan):
    ds = DataSet(scan, "w")
    for number in range(4):
        ds.x = np.full(1000, number)
        ds.y = [np.full(1000, number)] * 2
    assert (ds.x == 3).all()
    ds.x = 1
    size = sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(scan) for name in names)
    assert size < 8 * 1000 * 1.5 + 10_000


def test_no_backups_unless_asked(scan, tmp_path):
    ds = DataSet(scan, "w")
    ds.x = np.ones(1000)
    ds.x = np.zeros(1000)
    assert not [name for _, _, names in os.walk(scan) for name in names if ".bak" in name]


def test_backups_when_asked(scan):
    ds = DataSet(scan, "w", backup_data=True)
    ds.x = np.ones(1000)
    ds.x = np.zeros(1000)
    ds.x = 5
    assert [name for _, _, names in os.walk(scan) for name in names if ".bak" in name]
    assert DataSet(scan).x == 5


# Unique names


def test_names_are_made_up_beside_those_in_use(scan):
    ds = DataSet(scan, "w", name_prefix="run")
    ds.run1 = "taken"
    assert ds._insert(1, 2, a=3, info="i") == ["a", "run0", "run2"]
    assert DataSet(scan, "w")._insert({}) == ["x_0"]
    assert DataSet(scan, "w", name_prefix="run")._insert(1) == ["run3"]


def test_an_insert_is_all_or_nothing(scan):
    ds = DataSet(scan, "w")
    ds.a = 1
    for values in ({"b": 1, "class": 2}, {"b": 1, "c": lambda: 0}, {"a": 2, "c": (x for x in ())}):
        with pytest.raises(ArchiveError):
            ds._insert(**values)
        assert list(ds) == ["a"]
        assert ds.a == 1
    with pytest.raises(ArchiveError):
        ds["n"] = lambda: 0
    ds["x"] = 1
    assert ds["x"] == 1
    assert [name for name in os.listdir(scan) if name.startswith(("b", "c", "."))] == []


def test_failing_repr_of_an_object_leaves_the_rest_usable(scan):
    class Odd:
        def __repr__(self):
            raise RuntimeError("no")

    ds = DataSet(scan, "w")
    for act in (lambda: ds.__setitem__("a", Odd()), lambda: setattr(ds, "a", Odd())):
        with pytest.raises((ArchiveError, RuntimeError)):
            act()
    ds.a = 1
    assert ds.a == 1


# Modes


def test_a_read_only_data_set_refuses_changes(scan):
    DataSet(scan, "w").x = 1
    before = sorted(os.listdir(scan))
    ds = DataSet(scan)
    for act in (
        lambda: setattr(ds, "x", 2),
        lambda: ds.__setitem__("x", "n"),
        lambda: ds._insert(2),
        lambda: delattr(ds, "x"),
        lambda: ds.__delitem__("x"),
    ):
        with pytest.raises(ValueError, match="read-only"):
            act()
    assert ds.x == 1
    assert sorted(os.listdir(scan)) == before


def test_opening_what_is_not_there(scan, tmp_path):
    with pytest.raises(ValueError, match="mode='w'"):
        DataSet(scan)
    with pytest.raises(NotImplementedError):
        DataSet(scan, "a")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    for mode in "rw":
        with pytest.raises(ValueError, match="no data set"):
            DataSet(tmp_path / "full", mode)
    assert os.listdir(tmp_path / "full") == ["thesis.txt"]
    (tmp_path / "empty").mkdir()
    DataSet(tmp_path / "empty", "w").x = 1
    assert DataSet(tmp_path / "empty").x == 1


def test_repr_names_the_settings(scan):
    assert repr(DataSet("scan", "w", os.path.dirname(scan), name_prefix="y")) == (
        f"DataSet(module_name='scan', path={os.path.dirname(scan)!r}, synchronize=True, array_threshold=100, "
        "backup_data=False, name_prefix='y')"
    )


def test_closing(scan):
    with DataSet(scan, "w") as ds:
        ds.x = 1
    with pytest.raises(OSError, match="closed"):
        ds.x = 2
    with pytest.raises(OSError, match="closed"):
        ds._lock()
    ds.close()
    assert ds.x == 1


def test_an_item_may_be_called_close(scan):
    ds = DataSet(scan, "w")
    ds.close = 5
    assert ds.close == 5
    ds._close()


def test_a_data_set_travels_to_another_process(scan):
    ds = DataSet(scan, "w", name_prefix="y", timeout=3)
    ds.x = 1
    again = pickle.loads(pickle.dumps(ds))
    assert again.x == 1
    assert again._insert(2) == ["y0"]
    with DataSet(scan, "w", synchronize=False) as fixed, pytest.raises(ValueError):
        pickle.dumps(fixed)


# Names


@pytest.mark.parametrize(
    "name",
    ["class", "None", "_x", "__init__", "a b", "a.b", "../x", "", "0", "x\x00", "x" * 300, "ﬁ", "x\n", "/etc/x", "a-b", "\u202ex"],
)  # fmt: skip
def test_what_is_no_name_is_refused(scan, name):
    ds = DataSet(scan, "w")
    for act in (lambda: ds._insert(**{name: 1}), lambda: ds.__setitem__(name, 1)):
        with pytest.raises(ValueError):
            act()
    assert list(ds) == []
    assert sorted(os.listdir(os.path.dirname(scan))) == ["scan"]


@pytest.mark.parametrize(
    "name",
    ["dict", "len", "numpy", "sys", "os", "np", "match", "type", "é", "变量", "x_data", "py", "notes", "print", "lines", "x0", "mro", "self", "name"],
)  # fmt: skip
def test_names_of_builtins_and_modules_are_as_good_as_any(scan, name):
    ds = DataSet(scan, "w")
    values = {name: {"a": np.arange(200), "b": {1: complex(1, 2)}}, "x": np.arange(200)}
    ds._insert(**values, info=np.arange(3))
    assert (getattr(DataSet(scan), name)["a"] == np.arange(200)).all()
    assert (DataSet(scan).x == np.arange(200)).all()
    assert plain(
        scan, f"import scan.{name}, scan.x; print(scan.{name}['a'].sum(), scan.{name}['b'], scan.x.sum())"
    ).startswith("19900 {1: (1+2j)} 19900")


def test_an_item_named_info(scan):
    ds = DataSet(scan, "w")
    ds.info = 5
    assert ds.info == 5


letters = st.sampled_from(string.ascii_letters + "0123456789_äΩ变")
names = st.text(letters, min_size=1, max_size=12).filter(lambda name: name.isidentifier() and name[0] != "_")
small = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(["set", "note", "delete"]), names, small), max_size=8))
def test_any_sequence_of_changes_is_what_a_dictionary_does(tmp_path_factory, steps):
    folder = str(tmp_path_factory.mktemp("law") / "scan")
    ds, items, notes = DataSet(folder, "w"), {}, {}
    for what, name, value in steps:
        try:
            if what == "set":
                setattr(ds, name, value)
                items[name] = value
                notes.setdefault(name, None)
            elif what == "note":
                ds[name] = value
                notes[name] = value
            elif name in notes:
                delattr(ds, name)
                items.pop(name, None)
                del notes[name]
        except ValueError:
            assert keyword.iskeyword(name) or not name.isascii() or name == "env"
    for seen in (ds, DataSet(folder)):
        assert seen._info_dict == notes
        assert list(seen) == list(notes)
        assert {name: getattr(seen, name) for name in notes} == {name: items.get(name) for name in notes}


# Other processes and plain interpreters


def test_changes_of_another_object_are_seen_when_synchronized(scan):
    one, other, still = DataSet(scan, "w"), DataSet(scan, "w"), None
    one.x = 1
    assert other.x == 1
    still = DataSet(scan, synchronize=False)
    one.x = 2
    one["x"] = "n"
    one.y = 3
    assert (other.x, other["x"], other.y) == (2, "n", 3)
    assert sorted(still) == ["x"]
    assert still["x"] is None
    other._insert(7)
    assert one._insert(8) == ["x_1"]
    del one.x
    assert "x" not in other


def test_the_list_is_written_anew_when_most_of_it_is_outdated(scan):
    ds, other = DataSet(scan, "w"), DataSet(scan)
    with ds._ds_lock():
        for number in range(2500):
            ds["x"] = number
            if number % 100 == 0:
                assert other["x"] == number
    assert other["x"] == 2499
    with open(os.path.join(scan, "_notes.py"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert len(lines) < 1100
    assert not lines[0].endswith(" 0")


def test_half_a_line_of_a_dead_writer_is_not_read_and_then_cut_off(scan):
    ds = DataSet(scan, "w")
    ds._insert(a=1, b=2)
    with open(os.path.join(scan, "_notes.py"), "a", encoding="utf-8") as file:
        file.write("c = (1, 2")
    assert sorted(DataSet(scan)) == ["a", "b"]
    assert plain(scan, "print(sorted(scan._info_dict))") == "['a', 'b']"
    ds.d = 4
    assert DataSet(scan)._info_dict == {"a": None, "b": None, "d": None}


def test_what_a_dead_writer_left_is_swept_up(scan):
    ds = DataSet(scan, "w")
    ds.x = 1
    for name in ("_locked", ".lock-9-c"):
        with open(os.path.join(scan, name), "w", encoding="utf-8") as file:
            json.dump({**own(), "started": "1"}, file)
    for name in (".item-7-a", ".lock-7-a", ".lock-8-b"):
        with open(os.path.join(scan, name), "w", encoding="utf-8"):
            pass
    os.utime(os.path.join(scan, ".lock-7-a"), (0, 0))
    ds.y = 2
    assert sorted(name for name in os.listdir(scan) if name.startswith(".")) == [".lock-8-b"]
    assert (ds.x, ds.y) == (1, 2)


def test_a_plain_interpreter_imports_it(scan):
    ds = DataSet(scan, "w")
    ds.nxs = [10, 20]
    ds["nxs"] = "Particle numbers"
    ds._insert(np.arange(1000.0), [np.arange(5), {"a": float("nan")}], info=(10, np.arange(2)))
    ds.nothing = None
    ds["only"] = "a note"
    code = """
        assert not hasattr(scan, 'nxs')  # an item is loaded when it is imported
        import scan.nxs
        assert scan.nxs == [10, 20]
        assert scan._info_dict['nxs'] == 'Particle numbers'
        assert scan._info_dict['x_0'][0] == 10 and scan._info_dict['x_0'][1].sum() == 1
        assert 'scan.x_0' not in sys.modules
        from scan import x_1, nothing
        assert x_1[0].sum() == 10
        import scan.x_0
        assert scan.x_0.sum() == 499500
        assert nothing is None and scan.only is None
        assert {'nxs', 'x_0', 'x_1', 'nothing', 'only'} <= set(dir(scan))
        assert not hasattr(scan, 'other') and not hasattr(scan, 'x_0_data') and not hasattr(scan, '_other')
        assert not [name for name in sys.modules if 'reprokit' in name]
        print('fine')
    """
    assert plain(scan, "\n".join(line.strip() for line in code.splitlines())) == "fine"


def test_a_reload_sees_what_was_written_since(scan):
    ds = DataSet(scan, "w")
    ds.x, ds.y = 1, 1
    code = f"""
import importlib, subprocess
import scan.x, scan.y
assert (scan.x, scan.y, sorted(scan._info_dict)) == (1, 1, ['x', 'y'])
sys.path.insert(0, {os.getcwd()!r}); sys.path += {[path for path in sys.path if path]!r}
from reprokit.archive import DataSet
from reprokit.archive.owner import own
ds = DataSet({scan!r}, 'w'); ds.x = 2; ds.z = 3
importlib.reload(scan)
import scan.x, scan.y, scan.z
print(scan.x, scan.y, scan.z, sorted(scan._info_dict))
"""
    assert plain(scan, code) == "2 1 3 ['x', 'y', 'z']"


def test_stale_bytecode_of_a_replaced_item_is_not_used(scan):
    """Python looks at a source's size and its time in whole seconds; neither need differ."""
    ds = DataSet(scan, "w")
    for number in range(5):
        ds.x = number
        assert plain(scan, "import scan.x; print(scan.x)") == str(number)


# Threads and locks


def test_threads_share_one_object(scan):
    ds, failed = DataSet(scan, "w"), []

    def work(prefix):
        try:
            for number in range(25):
                setattr(ds, f"{prefix}{number}", number)
                assert getattr(ds, f"{prefix}{number}") == number
                ds._insert(number, info=prefix)
                len(ds), str(ds), dict(ds._info_dict)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(prefix,)) for prefix in "abcd"]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failed
    assert len(ds) == 200
    assert sum(info == "a" for info in ds._info_dict.values()) == 25


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_processes_share_one_object(scan):
    ds = DataSet(scan, "w")
    ds._insert("parent")
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=lambda n=n: [ds._insert(i, info=n) for i in range(25)]) for n in range(4)]
    [child.start() for child in children]
    [child.join() for child in children]
    assert [child.exitcode for child in children] == [0] * 4
    assert len(ds) == 101
    assert sorted(note for note in ds._info_dict.values() if note is not None) == sorted([*range(4)] * 25)


def test_durable_changes_read_the_same(scan):
    with DataSet(scan, "w", durable=True) as ds:
        ds._insert(x=np.arange(1000), y=1, info="n")
        ds.x = np.zeros(1000)
    assert (DataSet(scan).x == 0).all()
    assert DataSet(scan)._info_dict == {"x": "n", "y": "n"}


class Mine:
    """A class that safe loading does not know."""

    def __init__(self, a):
        self.a = a

    def get_persistent_rep(self, env):
        return "Mine(a=a)", {"a": self.a}, [(__name__, "Mine", "Mine")]


def test_objects_of_own_classes_need_to_be_allowed(scan):
    ds = DataSet(scan, "w")
    ds._insert(x=Mine([1]), info=Mine(2))
    for read in (lambda: ds.x, lambda: ds["x"]):
        with pytest.raises(ArchiveError, match="Mine"):
            read()
    seen = DataSet(scan, allow=[Mine])
    assert (seen.x.a, seen["x"].a) == ([1], 2)


def test_many_changes_under_one_lock(scan):
    ds = DataSet(scan, "w", timeout=0)
    with ds._ds_lock():
        ds.a = 1
        ds._insert(2, info="n")
        with pytest.raises(OSError, match=f"process {os.getpid()} on host .* \\(this machine\\)"):
            DataSet(scan, "w", timeout=0).b = 1
    DataSet(scan, "w", timeout=0).b = 1
    assert sorted(ds) == ["a", "b", "x_0"]


def test_without_synchronization_one_writer_is_let_in(scan):
    with DataSet(scan, "w", synchronize=False) as first:
        first.x = np.arange(1000)
        first["x"] = "n"
        with pytest.raises(OSError):
            DataSet(scan, "w", synchronize=False, timeout=0)
        with pytest.raises(OSError):
            DataSet(scan, "w", timeout=0).y = 1
        assert DataSet(scan)["x"] == "n"
        worker = threading.Thread(target=lambda: setattr(first, "y", 5))
        worker.start()
        worker.join()
        assert first.y == 5
    assert not os.path.exists(os.path.join(scan, DataSet._lock_file_name))
    ds = DataSet(scan, "w", synchronize=False)
    del ds
    DataSet(scan, "w", timeout=0).z = 1


def test_a_lost_lock_is_told(scan):
    ds = DataSet(scan, "w", synchronize=False)
    os.unlink(os.path.join(scan, "_locked"))
    with pytest.raises(OSError, match="removed"):
        ds.x = 1
