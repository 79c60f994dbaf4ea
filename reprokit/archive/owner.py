"""Who holds a lock: a process of a machine, and whether it still lives."""

from __future__ import annotations

import os
import socket
import sys
from datetime import datetime
from typing import Any

_facts: dict[str, Any] = {}


def is_dead(found: dict[str, Any]) -> bool:
    """Tell whether the owner of a lock has surely died; False where it cannot be known from here."""
    here = own()
    if any(found.get(key) != here[key] for key in ("host", "boot", "namespace")):
        return False
    pid, started = found.get("pid"), found.get("started")
    if type(pid) is not int or pid <= 0 or not isinstance(started, str):
        return False
    try:
        began = _started(pid)
    except ProcessLookupError:
        return True
    return began is not None and began != started


def describe(found: dict[str, Any]) -> str:
    """Say who holds a lock."""
    if "pid" not in found or "host" not in found:
        return "an unknown owner"
    where = "this machine" if found["host"] == socket.gethostname() else "another machine"
    since = f", since {found['since']}" if "since" in found else ""
    return f"process {found['pid']} on host {found['host']} ({where}){since}"


def own() -> dict[str, Any]:
    """What says who this process is; asked once a process, and again after a fork."""
    pid = os.getpid()
    if _facts.get("pid") != pid:
        _facts.update(
            host=socket.gethostname(),
            boot=_text("/proc/sys/kernel/random/boot_id"),
            namespace=_link("/proc/self/ns/pid"),  # two containers with one folder don't see each other's processes
            pid=pid,
            started=_started(pid) or "",
        )
    return dict(_facts)


def _started(pid: int) -> str | None:
    """When a process started, in a form that is only compared; None where it lives and this cannot be seen.

    Raises
    ------
    ProcessLookupError
        When there is no such process, or it has ended and its parent has not asked for its status yet.
    """
    if sys.platform != "linux":
        import psutil

        try:
            process = psutil.Process(pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                raise ProcessLookupError(pid)
            return repr(process.create_time())
        except psutil.NoSuchProcess:
            raise ProcessLookupError(pid) from None
        except psutil.Error:
            return None
    try:
        os.kill(pid, 0)  # signal 0: only asks
    except PermissionError:
        pass  # it lives and is another user's
    except OverflowError:
        raise ProcessLookupError(pid) from None
    # proc(5), /proc/pid/stat: the name (2) may hold anything up to the last ")"; 3 is the state, 22 the start in ticks
    fields = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 20:
        return None
    if fields[0] in {"Z", "X", "x"}:
        raise ProcessLookupError(pid)
    return fields[19]


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def now() -> str:
    """Give the time as people read it."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
