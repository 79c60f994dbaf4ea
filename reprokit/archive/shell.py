"""What makes a data set's folder a package that Python imports without reprokit."""

from __future__ import annotations

import os
import shutil

from reprokit.archive.notes import HEAD, temporary
from reprokit.errors import ArchiveError

KEY_FILE = "_this_dir_is_a_DataSet"  # persist 3.2.1 marks its data sets by the same name
NOTES_FILE = "_notes.py"
FORMAT = "reprokit/dataset/1\n"

#: The same in every data set, so it is written once: items and notes come from their own files.
INIT = '''\
"""A data set: each item is a module of this package, loaded when it is imported.

Written by reprokit (format reprokit/dataset/1), which is not needed to read it: `from <package> import <item>`, or
`import <package>.<item>`.  _info_dict holds the notes.
"""


def _forget():
    """After a reload, items and notes come from their files again."""
    import sys

    for name in [name for name in globals() if name == "_info_dict" or not name.startswith("_")]:
        del globals()[name]
        sys.modules.pop(__name__ + "." + name, None)


def _read_notes():
    import os

    def _note(source):
        names = {}
        exec(source, names)
        return names["note"]

    with open(os.path.join(os.path.dirname(__file__), "_notes.py"), encoding="utf-8", newline="") as file:
        lines = file.read()
    notes = {}
    exec(lines[: lines.rfind("\\n") + 1], {"_note": _note}, notes)  # a line that is being written does not count yet
    return notes


def __getattr__(name):
    if name == "_info_dict":
        globals()[name] = notes = _read_notes()
        return notes
    if not name.startswith("_"):
        import importlib.util
        import sys

        module = __name__ + "." + name
        if module in sys.modules:
            return sys.modules[module]
        found = importlib.util.find_spec(module)
        if found is not None and found.origin:
            raise AttributeError("item " + repr(name) + " is not loaded; import " + module, name=name)
        if name in __getattr__("_info_dict"):
            return None  # a note alone
    raise AttributeError("data set " + repr(__name__) + " has no item " + repr(name), name=name)


def __dir__():
    return sorted({*globals(), *_read_notes()})


_forget()
'''


def open_folder(folder: str, mode: str) -> None:
    """See that there is a data set, or make one: elsewhere, and moved into place complete.

    Raises
    ------
    ArchiveError
        There is none to read, or something else.
    """
    if os.path.isfile(os.path.join(folder, KEY_FILE)):
        return
    there = os.path.lexists(folder)
    if there and not (mode == "w" and os.path.isdir(folder) and not os.listdir(folder)):
        raise ArchiveError(folder, "this is there and no data set; choose another name")
    if mode == "r":
        raise ArchiveError(folder, "there is no data set; mode='w' makes one")
    make(folder)


def make(folder: str) -> None:
    """Make an empty data set: elsewhere, and moved into place complete.

    Of several processes that make the same one, the first succeeds and the others find it there.
    """
    parent, name = os.path.split(os.path.abspath(folder))
    os.makedirs(parent, exist_ok=True)
    building = os.path.join(parent, f".{name[:40]}-{os.getpid()}-{os.urandom(4).hex()}")
    os.mkdir(building)
    try:
        for file, text in ((KEY_FILE, FORMAT), (NOTES_FILE, f"{HEAD}0\n"), ("__init__.py", INIT)):
            with open(os.path.join(building, file), "x", encoding="utf-8", newline="") as opened:
                opened.write(text)
        os.rename(building, folder)
    except OSError:
        shutil.rmtree(building, ignore_errors=True)
        if not os.path.isfile(os.path.join(folder, KEY_FILE)):
            raise


def renew(folder: str) -> None:
    """Give a data set that persist or an older reprokit made the package source of today."""
    path = os.path.join(folder, "__init__.py")
    try:
        with open(path, encoding="utf-8", newline="") as file:
            if file.read(len(INIT) + 1) == INIT:
                return
    except (OSError, UnicodeDecodeError):
        pass
    building = temporary(folder)
    with open(building, "x", encoding="utf-8", newline="") as file:
        file.write(INIT)
    os.replace(building, path)
