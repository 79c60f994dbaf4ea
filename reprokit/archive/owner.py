"""Who holds a lock: a process of a machine, and whether it still lives."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from typing import Any

from reprokit import process

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
        began = process.started(pid)
    except ProcessLookupError:
        return True
    return began is not None and repr(began) != started


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
            boot=process.boot_id() or "",
            namespace=process.namespace(),
            pid=pid,
            started=repr(process.started(pid)),
        )
    return dict(_facts)


def now() -> str:
    """Give the time as people read it."""
    return datetime.now().astimezone().isoformat(timespec="seconds")
