"""The machine: platform, processor, memory, GPUs, this process and what it takes.

Nothing here starts a process: the standard library's ``platform.processor`` and ``platform.platform`` do, or read the
whole interpreter, so their answers are put together from ``uname`` and ``confstr``.
"""

from __future__ import annotations

import functools
import os
import platform
import struct
import sys
import time
from typing import Any

from reprokit import process as processes
from reprokit.model.records import Architecture, Gpu, Platform, ProcessId, PythonInfo, Resources


@functools.cache
def platform_info() -> Platform:
    """Describe operating system and interpreter; the keys are capsula's."""
    build_no, build_date = platform.python_build()
    uname = os.uname() if hasattr(os, "uname") else platform.uname()
    system, node, release, version, machine = (str(part) for part in tuple(uname)[:5])
    libc = _libc()
    return Platform(
        machine=machine,
        node=node,
        platform="-".join(part for part in (system, release, machine, "with" if libc else "", libc) if part),
        release=release,
        version=version,
        system=system,
        processor=machine,
        python=PythonInfo(
            executable_architecture=Architecture(bits=f"{struct.calcsize('P') * 8}bit", linkage=_linkage()),
            build_no=build_no,
            build_date=build_date,
            compiler=platform.python_compiler(),
            branch=platform.python_branch(),
            implementation=platform.python_implementation(),
            version=platform.python_version(),
            executable=sys.executable or None,
            prefix=sys.prefix,
            base_prefix=sys.base_prefix,
            flags=python_flags(),
        ),
        user=user(),
    )


def _libc() -> str:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").replace(" ", "")
    except (AttributeError, ValueError, OSError):
        return ""


def _linkage() -> str:
    return {"linux": "ELF", "darwin": "Mach-O", "win32": "WindowsPE"}.get(sys.platform, "")


def python_flags() -> list[str]:
    """List the interpreter's options that change what code does."""
    names = {
        "optimize": "-O",
        "isolated": "-I",
        "no_site": "-S",
        "ignore_environment": "-E",
        "dev_mode": "-X dev",
        "utf8_mode": "-X utf8",
    }
    found = [option for name, option in names.items() if getattr(sys.flags, name)]
    return ["-OO" if option == "-O" and sys.flags.optimize > 1 else option for option in found]


@functools.cache
def user() -> str | None:
    """Name of the user, as the system has it."""
    try:
        import pwd
    except ImportError:
        return os.environ.get("USERNAME")
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under a number without a name
        return str(os.getuid())


@functools.cache
def cpu() -> dict[str, Any] | None:
    """Describe the processor; only what the system tells, None when that is nothing."""
    found: dict[str, Any] = {"arch": platform_info().machine, "count": os.cpu_count()}
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
            first = stream.read(65_536).split("\n\n")[0]
    except OSError:
        brand = os.environ.get("PROCESSOR_IDENTIFIER")
        return {**found, "brand_raw": brand} if brand else found
    facts = {
        k.strip(): v.strip()
        for k, found_colon, v in (line.partition(":") for line in first.splitlines())
        if found_colon
    }
    for key, name in (
        ("model name", "brand_raw"),
        ("vendor_id", "vendor_id_raw"),
        ("cpu family", "family"),
        ("model", "model"),
        ("stepping", "stepping"),
    ):
        if facts.get(key):
            found[name] = int(facts[key]) if facts[key].isdigit() else facts[key]
    _, at, speed = str(found.get("brand_raw", "")).rpartition(" @ ")
    if at:  # Intel writes the advertised speed there
        found["hz_advertised_friendly"] = speed.replace("GHz", " GHz").replace("MHz", " MHz")
    flags = facts.get("flags") or facts.get("Features")
    if flags:  # they decide which kernels numerical libraries choose
        found["flags"] = sorted(flags.split())
    if hasattr(os, "sched_getaffinity"):
        found["usable"] = len(os.sched_getaffinity(0))
    return found


@functools.cache
def memory() -> int | None:
    """Main memory in bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        pass
    try:
        import psutil
    except ImportError:
        return None
    return int(psutil.virtual_memory().total)


_DRIVERS = ("/proc/driver/nvidia/version", "/dev/dxg")  # the second is that of Linux under Windows


@functools.cache
def gpus() -> list[Gpu]:
    """List NVIDIA GPUs, when their driver and ``nvidia-ml-py`` are there."""
    if sys.platform.startswith("linux") and not any(map(os.path.exists, _DRIVERS)):
        return []
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # noqa: BLE001 - not installed, or driver and library don't fit: no GPU that could be asked
        return []
    try:
        driver = _text(pynvml.nvmlSystemGetDriverVersion())
        number = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            device = pynvml.nvmlDeviceGetHandleByIndex(index)
            found.append(
                Gpu(
                    name=_text(pynvml.nvmlDeviceGetName(device)),
                    uuid=_text(pynvml.nvmlDeviceGetUUID(device)),
                    memory=int(pynvml.nvmlDeviceGetMemoryInfo(device).total),
                    driver=driver,
                    cuda=f"{number // 1000}.{number % 1000 // 10}",
                )
            )
        pynvml.nvmlShutdown()
    except Exception:  # noqa: BLE001 - see above
        return []
    return found


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


# --- processes -----------------------------------------------------------------------------------------------------

_own: ProcessId | None = None


def process_id() -> ProcessId:
    """Name this process for good: a number alone is used again."""
    global _own
    pid = os.getpid()
    if _own is None or _own.pid != pid:
        _own = ProcessId(
            host=platform_info().node, pid=pid, started=processes.started(pid), boot_id=processes.boot_id()
        )
    return _own


def process_age() -> float | None:
    """Give the seconds since this process started, None when they are not known."""
    started = process_id().started
    if started is None:
        return None
    now = time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform.startswith("linux") else time.time()
    return max(now - started, 0.0)


def is_alive(process: ProcessId) -> bool | None:
    """Tell whether a process lives; None when it is on another machine and can't be asked."""
    if process.host != platform_info().node:
        return None
    if process.boot_id and processes.boot_id() and process.boot_id != processes.boot_id():
        return False
    try:
        started = processes.started(process.pid)
    except ProcessLookupError:
        return False
    if started is None:
        return processes.exists(process.pid)
    # A clock that was set moves the computed start; on one boot the kernel's own ticks decide.
    return process.started is None or abs(started - process.started) < 0.05


# --- resources -----------------------------------------------------------------------------------------------------


def resources_before() -> tuple[float, float, float]:
    """Look at the clocks: monotonic, user and system CPU, in seconds."""
    times = os.times()
    return time.perf_counter(), times.user, times.system


def resources_since(before: tuple[float, float, float]) -> Resources:
    """Tell what was taken since `resources_before`; peak memory is the process's high-water mark."""
    times = os.times()
    return Resources(
        wall_time=time.perf_counter() - before[0],
        cpu_user=round(times.user - before[1], 6),
        cpu_system=round(times.system - before[2], 6),
        peak_memory=peak_memory(),
    )


def peak_memory() -> int | None:
    """High-water mark of this process's memory in bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return _peak_by_psutil()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _peak_by_psutil() -> int | None:
    try:
        import psutil

        return int(getattr(psutil.Process().memory_info(), "peak_wset"))  # noqa: B009 - Windows has it
    except (ImportError, AttributeError, OSError):
        return None
