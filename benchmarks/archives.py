"""Archives and data sets beside numpy, joblib, pickle, h5py, ``repr`` and persist: time, memory and size."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from benchmarks.environments import variables
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.rows import Setting

# Contestants of one row share a process and take turns in it: a slow minute is slow for all.
_BEGIN = """
import gc, importlib.util, json, os, pickle, resource, shutil, sys, time
from pathlib import Path
from statistics import median
import numpy as np
work, rounds, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
sys.dont_write_bytecode = True

def in_turn(contestants, prepare=lambda: None):
    taken = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds + 1):
        for name in names[number % len(names):] + names[:number % len(names)]:
            prepare()
            gc.collect()
            started = time.perf_counter()
            result = contestants[name]()
            seconds = time.perf_counter() - started
            del result
            if number:
                taken[name].append(seconds)
    return {name: median(values) for name, values in taken.items()}

def imported(path):
    spec = importlib.util.spec_from_file_location("measured", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
"""
_OWN = _BEGIN + "from reprokit.archive import Archive, DataSet\n"

_ARRAY = """
data = np.random.default_rng(1).random(size // 8)
def own(how):
    archive = Archive()
    archive.insert(data=data)
    archive.save(work, name="run", data_format=how, force=True)
def h5():
    import h5py
    with h5py.File(work / "peer.h5", "w") as file:
        file["data"] = data
def h5_read():
    import h5py
    with h5py.File(work / "peer.h5", "r") as file:
        return file["data"][:]
def tidy():
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    os.sync()  # what others left to write is not the contestants'
saved = in_turn({
    "own": lambda: own("npy"), "own hdf5": lambda: own("hdf5"), "np.save": lambda: np.save(work / "peer.npy", data), "h5py": h5,
    "pickle": lambda: pickle.dump(data, open(work / "peer.pkl", "wb"), 5),
    "joblib": lambda: __import__("joblib").dump(data, work / "peer.joblib"),
}, tidy)
tidy()
own("npy"), np.save(work / "peer.npy", data), pickle.dump(data, open(work / "peer.pkl", "wb"), 5)
__import__("joblib").dump(data, work / "peer.joblib"), h5()
loaded = in_turn({
    "own": lambda: Archive.load(work / "run", mmap=False), "own mapped": lambda: Archive.load(work / "run", mmap=True),
    "own import": lambda: imported(work / "run" / "__init__.py"),
    "np.load": lambda: np.load(work / "peer.npy"), "np.load mapped": lambda: np.load(work / "peer.npy", mmap_mode="r"),
    "pickle": lambda: pickle.load(open(work / "peer.pkl", "rb")), "joblib": lambda: __import__("joblib").load(work / "peer.joblib"),
    "h5py": h5_read,
})
print(json.dumps({"save": saved, "load": loaded}))
"""

_MEMORY = """
what = sys.argv[4]
import reprokit.archive
Archive.load
if what in {"nothing", "save", "array"}:
    data = np.random.default_rng(1).random(size // 8)
if what in {"save", "load"}:
    import reprokit.archive.package, reprokit.archive.reading
if what == "save":
    archive = Archive()
    archive.insert(data=data)
    archive.save(work, name="run", force=True)
if what == "load":
    held = Archive.load(work / "run", mmap=False)["data"]
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""

_SMALL = """
import joblib
data = list(np.random.default_rng(1).random((size, 128)))
def own():
    archive = Archive(array_threshold=100)
    archive.insert(data=data)
    archive.save(work, name="run", force=True)
def items():
    archive = Archive(array_threshold=100)
    archive.insert(**{f"x{number}": array for number, array in enumerate(data)})
    archive.save(work, name="items", force=True)
names = [f"x{number}" for number in range(size)]
saved = in_turn({
    "own": own, "own items": items, "joblib": lambda: joblib.dump(data, work / "peer.joblib"),
    "pickle": lambda: pickle.dump(data, open(work / "peer.pkl", "wb"), 5), "np.savez": lambda: np.savez(work / "peer.npz", *data),
})
loaded = in_turn({
    "own": lambda: Archive.load(work / "run"), "own items": lambda: Archive.load(work / "items"),
    "own import": lambda: imported(work / "run" / "__init__.py"), "joblib": lambda: joblib.load(work / "peer.joblib"),
    "pickle": lambda: pickle.load(open(work / "peer.pkl", "rb")), "np.load": lambda: dict(np.load(work / "peer.npz")),
})
print(json.dumps({"save": saved, "load": loaded}))
"""

_NEST = """
import ast
def nest(number):
    return {f"k{i}": {"a": i, "b": [i, i + 0.5], "c": f"text {i}", "d": (None, True)} for i in range(number // 10)}
few, many = nest(size), nest(10 * size)
def own(obj, name):
    archive = Archive()
    archive.insert(data=obj)
    archive.save(work, name=name, force=True)
saved = in_turn({"own": lambda: own(few, "few"), "repr": lambda: repr(few), "pickle": lambda: pickle.dumps(few, 5)})
text = repr(few)
loaded = in_turn({
    "import": lambda: imported(work / "few" / "__init__.py"), "exec": lambda: exec(compile(text, "a", "exec"), {}),
    "safe": lambda: Archive.load(work / "few"), "literal_eval": lambda: ast.literal_eval(text),
    "pickle": lambda data=pickle.dumps(few, 5): pickle.loads(data),
})
assert Archive.load(work / "few")["data"] == few
rounds = 1
saved["many"] = in_turn({"own": lambda: own(many, "many")})["own"]
loaded |= in_turn({"import many": lambda: imported(work / "many" / "__init__.py"), "safe many": lambda: Archive.load(work / "many")})
print(json.dumps({"save": saved, "load": loaded}))
"""

_FRAME = """
import pandas as pd
frame = pd.DataFrame(np.random.default_rng(1).random((size, 10)), columns=list("abcdefghij"))
def own():
    archive = Archive()
    archive.insert(frame=frame)
    archive.save(work, name="run", force=True)
def columns():
    for name in frame:
        np.save(work / f"{name}.npy", frame[name].to_numpy())
def tidy():
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    os.sync()
saved = in_turn({"own": own, "np.save": columns, "pickle": lambda: pickle.dump(frame, open(work / "peer.pkl", "wb"), 5)}, tidy)
own(), columns(), pickle.dump(frame, open(work / "peer.pkl", "wb"), 5)
loaded = in_turn({
    "own": lambda: Archive.load(work / "run", mmap=False),
    "np.load": lambda: pd.DataFrame({name: np.load(work / f"{name}.npy") for name in frame}),
    "pickle": lambda: pickle.load(open(work / "peer.pkl", "rb")),
})
print(json.dumps({"save": saved, "load": loaded}))
"""

# `size` items are there; 1,000 arrays of ten numbers, and of 128, are added one by one.
_SET = """
arrays = list(np.random.default_rng(1).random((1000, 10)))
larger = list(np.random.default_rng(1).random((1000, 128)))
ds = DataSet(str(work / "scan"), "w")
with ds._ds_lock():
    for start in range(0, size, 1000):
        ds._insert(*[array + start for array in arrays[:size - start]], info=(start, 1.2))
def insert(arrays):
    started = time.perf_counter()
    for number, array in enumerate(arrays):
        ds._insert(array, info=(number, 1.2))
    return time.perf_counter() - started
found = {"insert": insert(arrays), "insert larger": insert(larger)}
found |= in_turn({
    "open": lambda: DataSet(str(work / "scan")), "open, all notes": lambda: DataSet(str(work / "scan"))._info_dict,
    "one": lambda: DataSet(str(work / "scan")).x_5, "import": lambda: imported(work / "scan" / "__init__.py")._info_dict,
})
opened = DataSet(str(work / "scan"))
found["one of an open set"] = in_turn({"one": lambda: opened.x_5})["one"]
print(json.dumps(found))
"""

_PERSIST_ARRAY = """
from persist.archive import Archive
data = np.random.default_rng(1).random(size // 8)
def own():
    archive = Archive()
    archive.insert(data=data)
    archive.array_threshold = 1000
    archive.save(str(work), name="run", force=True)
print(json.dumps({"save": in_turn({"a": own})["a"], "load": in_turn({"a": lambda: imported(work / "run" / "__init__.py")})["a"]}))
"""

_PERSIST_SMALL = """
from persist.archive import Archive
data = list(np.random.default_rng(1).random((size, 128)))
def own():
    archive = Archive(array_threshold=100)
    archive.insert(data=data)
    archive.save(str(work), name="run", force=True)
print(json.dumps({"save": in_turn({"a": own})["a"], "load": in_turn({"a": lambda: imported(work / "run" / "__init__.py")})["a"]}))
"""

_PERSIST_SET = """
from persist.archive import DataSet
os.chdir(work)
ds = DataSet("scan", "w")
taken = []
for number, array in enumerate(np.random.default_rng(1).random((size, 10))):
    started = time.perf_counter()
    ds._insert(array, info=(number, 1.2))
    taken.append(time.perf_counter() - started)
print(json.dumps({"insert": sum(taken), "open": in_turn({"a": lambda: DataSet("scan")})["a"]}))
"""


def _measured(python: Path, code: str, work: Path, rounds: int, size: int, *more: str) -> Any:
    work.mkdir(parents=True, exist_ok=True)
    command = [python, "-c", code, str(work), str(rounds), str(size), *more]
    done = subprocess.run(command, check=False, env=variables(), capture_output=True, text=True, cwd=work.parent)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def _beside(
    what: str, act: str, found: dict[str, float], goals: dict[str, tuple[str, float | None]], own: str = "own"
) -> Iterator[Row]:
    for peer, (title, goal) in goals.items():
        yield Row(f"{act} {what}", found[own], title, found[peer], goal)


def one_array(setting: Setting) -> Iterator[Row]:
    """One large array."""
    size = 80_000_000 if setting.quick else 800_000_000
    what, work = f"{size // 10**6} MB of float64", setting.work / "array"
    found = _measured(setting.own.python, _OWN + _ARRAY, work, setting.rounds(12), size)
    others: dict[str, tuple[str, float | None]] = {"joblib": ("joblib", None), "pickle": ("pickle 5", None)}
    yield from _beside(what, "save", found["save"], {"np.save": ("np.save", 1.05), **others})
    yield from _beside(what, "load", found["load"], {"np.load": ("np.load", 1.05), **others})
    yield from _beside(what, "import", found["load"], {"np.load": ("np.load", None)}, "own import")
    yield Row("the same memory-mapped", found["load"]["own mapped"], "5 ms", 0.005, 1.0)
    yield Row(
        "the same memory-mapped", found["load"]["own mapped"], "np.load(mmap_mode)", found["load"]["np.load mapped"]
    )
    yield Row(f"save {what}, hdf5", found["save"]["own hdf5"], "h5py", found["save"]["h5py"])
    used = {
        name: _measured(setting.own.python, _OWN + _MEMORY, work, 1, size, name)
        for name in ("none", "array", "save", "load")
    }
    yield Row("extra memory of saving it", used["save"] - used["array"], "64 MB", 64e6, 1.0, unit="B")
    yield Row("extra memory of loading it", used["load"] - used["none"] - size, "64 MB", 64e6, 1.0, unit="B")
    persist = _measured(setting.peers.python, _BEGIN + _PERSIST_ARRAY, setting.work / "array-persist", 1, size)
    for act in ("save", "load"):
        yield Row(f"{act} {what}", found[act]["own"], "persist", persist[act])


def small_arrays(setting: Setting) -> Iterator[Row]:
    """Many small arrays."""
    size = 1_000 if setting.quick else 10_000
    what = f"{size:,} arrays of 1 kB"
    found = _measured(setting.own.python, _OWN + _SMALL, setting.work / "small-arrays", setting.rounds(12), size)
    for act, zipped in (("save", "np.savez"), ("load", "np.load")):
        goals: dict[str, tuple[str, float | None]] = {"joblib": ("joblib", 0.3), "pickle": ("pickle 5", None)}
        yield from _beside(what, act, found[act], {**goals, zipped: ("npz", None)})
        yield from _beside(f"{what}, an item each", act, found[act], {"joblib": ("joblib", None)}, "own items")
    yield Row(f"import {what}", found["load"]["own import"], "joblib", found["load"]["joblib"])
    few = size // 10  # it is quadratic
    persist = _measured(setting.peers.python, _BEGIN + _PERSIST_SMALL, setting.work / "small-persist", 1, few)
    for act in ("save", "load"):
        yield Row(f"{act} {what}", found[act]["own"], f"persist, {few:,} arrays", persist[act])


def nested(setting: Setting) -> Iterator[Row]:
    """A nested dictionary of small objects."""
    size = 10_000 if setting.quick else 100_000
    what = f"{size:,} small objects"
    found = _measured(setting.own.python, _OWN + _NEST, setting.work / "nest", setting.rounds(12), size)
    save, load = found["save"], found["load"]
    yield Row(f"save {what}", save["own"], "repr", save["repr"], 3.0)
    yield Row(f"save {what}", save["own"], "pickle 5", save["pickle"])
    yield Row(f"import {what}", load["import"], "exec(compile(repr))", load["exec"], 1.5)
    yield Row(f"load {what} safely", load["safe"], "ast.literal_eval", load["literal_eval"], 2.0)
    yield Row(f"load {what} safely", load["safe"], "pickle 5", load["pickle"])
    yield Row(f"save {10 * size:,}", save["many"], what, save["own"], 12.0)
    yield Row(f"import {10 * size:,}", load["import many"], what, load["import"], 12.0)
    yield Row(f"load {10 * size:,} safely", load["safe many"], what, load["safe"], 12.0)


def frame(setting: Setting) -> Iterator[Row]:
    """A DataFrame."""
    size = 100_000 if setting.quick else 1_000_000
    found = _measured(setting.own.python, _OWN + _FRAME, setting.work / "frame", setting.rounds(12), size)
    what = f"a DataFrame of {size:,} x 10"
    yield from _beside(
        what, "save", found["save"], {"np.save": ("np.save of columns", 1.5), "pickle": ("pickle 5", None)}
    )
    yield from _beside(
        what, "load", found["load"], {"np.load": ("np.load of columns", None), "pickle": ("pickle 5", None)}
    )


def data_set(setting: Setting) -> Iterator[Row]:
    """A data set of many items."""
    size = 1_000 if setting.quick else 10_000
    found = _measured(setting.own.python, _OWN + _SET, setting.work / "data-set", setting.rounds(12), size)
    there = f"DataSet of {size:,} items"
    yield Row(f"1,000 arrays of 10 numbers into a {there}", found["insert"], "1 s", 1.0, 1.0)
    yield Row(f"1,000 arrays of 1 kB into a {there}", found["insert larger"], "1 s", 1.0, 1.0)
    yield Row(f"open a {there}", found["open"], "100 ms", 0.1, 1.0)
    yield Row(f"open a {there} and read all notes", found["open, all notes"], "100 ms", 0.1)
    yield Row(f"open a {there} and read one item", found["one"], "100 ms", 0.1)
    yield Row("read one item of it", found["one of an open set"], "opening it", found["open"])
    few = 100 if setting.quick else 300  # each insert writes the whole list again
    persist = _measured(setting.peers.python, _BEGIN + _PERSIST_SET, setting.work / "set-persist", 1, few)
    yield Row(
        f"1,000 arrays of 10 numbers into a {there}", found["insert"], f"persist, {few} into none", persist["insert"]
    )
    yield Row(f"open a {there}", found["open"], f"persist, {few} items", persist["open"])


ALL = {"array": one_array, "arrays": small_arrays, "nest": nested, "frame": frame, "dataset": data_set}
