"""Processes of this machine: whether they live, told by number and start, for numbers are used again."""

from __future__ import annotations

import functools
import hashlib
import os
import socket
import sys

PROC = "/proc"


def started(pid: int) -> float | None:
    """Give the start of a process in seconds since boot (Linux), else since the epoch; None when it cannot be seen.

    Raises
    ------
    ProcessLookupError
        When there is no such process, or it has ended and nobody has waited for it yet.
    """
    if not sys.platform.startswith("linux"):
        return _started_elsewhere(pid)
    try:
        with open(f"{PROC}/{pid}/stat", "rb") as stream:
            # proc(5): the name (2) may hold anything up to the last ")"; 3 is the state, 22 the start in ticks.
            rest = stream.read().rpartition(b")")[2].split()
        if rest[0] == b"Z":
            raise ProcessLookupError(pid)
        return int(rest[19]) / os.sysconf("SC_CLK_TCK")
    except FileNotFoundError:
        if exists(pid) is False:  # else it is hidden (hidepid), or there is no /proc at all
            raise ProcessLookupError(pid) from None
    except ProcessLookupError:
        raise
    except (OSError, IndexError, ValueError):
        pass
    return None


def _started_elsewhere(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            raise ProcessLookupError(pid)
        return float(process.create_time())
    except psutil.NoSuchProcess:
        raise ProcessLookupError(pid) from None
    except psutil.Error:
        return None


def exists(pid: int) -> bool | None:
    """Tell whether there is a process of this number; None when it is another user's, and so may be another one."""
    if os.name != "posix":
        import psutil

        return bool(psutil.pid_exists(pid))
    try:
        os.kill(pid, 0)  # signal 0: only asks
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return None
    return True


@functools.cache
def boot_id() -> str | None:
    """Name the time since this machine was started, None where the system does not."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return None


@functools.cache
def namespace() -> str:
    """Name the space of process numbers: two containers with one folder don't see each other's processes."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


@functools.cache
def machine() -> str:
    """Name this machine since its start, and its space of process numbers, in eight letters for names of files."""
    told = "\0".join((socket.gethostname(), boot_id() or "", namespace()))
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:8]
