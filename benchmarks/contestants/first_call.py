"""Seconds that the first call in a process takes: ``first_call.py reprokit|stack|floor MODULES``.

``floor`` imports the modules that reprokit's first call loads (named in a file) and asks ``git status`` once.
"""

import importlib
import json
import subprocess
import sys
import time


def main(what, path):
    if what == "floor":
        import reprokit as rk

        rk.monitor, rk.Artifact  # noqa: B018 - loads what decorating loads, which the call doesn't pay
        with open(path) as stream:
            modules = json.load(stream)
        started = time.perf_counter()
        for name in modules:
            importlib.import_module(name)
        subprocess.run(["git", "status", "--porcelain=v2", "--branch", "-z"], check=True, stdout=subprocess.PIPE)
        print(time.perf_counter() - started)
        return
    call = importlib.import_module("use_reprokit" if what == "reprokit" else "use_reprokit_stack").call
    before = set(sys.modules)
    started = time.perf_counter()
    call(1)
    taken = time.perf_counter() - started
    loaded = [name for name in sys.modules if name not in before and importlib.util.find_spec(name) is not None]
    if what == "reprokit":
        with open(path, "w") as stream:
            json.dump(loaded, stream)
    print(taken)


if __name__ == "__main__":
    import importlib.util

    main(*sys.argv[1:])
