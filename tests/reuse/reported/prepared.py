"""A process that has loaded reprokit, from which sessions of a project are forked.

``python prepared.py SOCKET MODULE...`` listens at a socket.  A request is a line of JSON: a script, its folder, its
environment and where its output goes.  The answer is the exit status of a process that ran it, as a new one would.  Nothing of a
project is ever loaded here, so a session starts with nothing but the library.
"""

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import sys
import tomllib  # noqa: F401 - sessions read settings
from types import ModuleType

ROOMS = ("archive", "capture", "catalog.why", "code", "decorators", "git", "model", "recorder", "settings", "vault")


def load(modules):
    """Import all that a session may load of reprokit, and what else is asked for."""
    for name in modules:
        importlib.import_module(name)
    without = [name for name in ("numpy", "pandas") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(without))  # so that nothing brings them in
    for room in ROOMS:
        package = importlib.import_module(f"reprokit.{room}")
        for found in pkgutil.walk_packages(package.__path__, f"reprokit.{room}."):
            try:
                importlib.import_module(found.name)
            except (ImportError, KeyError):  # one that is for a library which is not loaded
                continue
    for name in without:
        del sys.modules[name]
    os.fsync = lambda file: None  # no power is cut here
    gc.freeze()  # so that sessions share what is loaded


def serve(path):
    """Wait for requests; return one in the process that is to run it."""
    door = socket.socket(socket.AF_UNIX)
    door.bind(path)
    door.listen(64)
    print("ready", flush=True)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever handles a request is gone when it has answered
    while True:
        line, _ = door.accept()
        if os.fork():
            line.close()
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        door.close()
        request = json.loads(line.makefile().readline())
        session = os.fork()
        if not session:
            line.close()
            os.setsid()
            return request
        line.sendall(f"{session}\n".encode())
        _, status = os.waitpid(session, 0)
        try:
            line.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        finally:
            os._exit(0)


def become(request):
    """Make this process what ``python SCRIPT`` would be in that folder and environment."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    out = os.open(request["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    err = os.open(request["err"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number, file in enumerate((nothing, out, err)):
        os.dup2(file, number)
        os.close(file)
    script = request["script"]
    sys.argv[:] = [script]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    main = sys.modules["__main__"] = ModuleType("__main__")
    main.__file__ = script
    main.__builtins__ = __builtins__
    with open(script, "rb") as file:
        return compile(file.read(), script, "exec", dont_inherit=True), vars(main)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    load(sys.argv[2:])
    exec(*become(serve(sys.argv[1])))  # the end of this script is the end of the session: as in any interpreter
