"""What this machine gives to the CPU backend: cores and memory. Devices that llama.cpp finds are in `devices`."""

import os
from pathlib import Path

_MEMORY = Path("/proc/meminfo")
_CPU = Path("/sys/devices/system/cpu")
_GROUP = Path("/sys/fs/cgroup")


def physical_cores() -> int:
    """Physical cores that this process may use; where the system does not say, its logical ones.

    A second hyper-thread on a core slows matrix products down, so it is not counted.
    """
    if not hasattr(os, "sched_getaffinity"):  # macOS, Windows
        import psutil

        return psutil.cpu_count(logical=False) or os.cpu_count() or 1
    usable = os.sched_getaffinity(0)
    cores = {_core(cpu) for cpu in usable}
    return max(1, min(len(cores), _quota() or len(cores)))


def available_memory() -> int:
    """Bytes that can be had without swapping, and without going over a container's limit."""
    available, group = _memory()[1], _group_memory()
    return available if group is None else min(available, group[0])


def total_memory() -> int:
    """Bytes of RAM, or of a container's share of it."""
    total, group = _memory()[0], _group_memory()
    return total if group is None else min(total, group[1])


def _memory() -> tuple[int, int]:
    """Bytes in all, and those that can be had without swapping."""
    try:
        fields = dict(line.split(":", 1) for line in _MEMORY.read_text().splitlines())
        total, available = (int(fields[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
        return total, available
    except (OSError, ValueError, LookupError):  # not Linux
        import psutil  # here: it takes a hundredth of a second

        memory = psutil.virtual_memory()
        return int(memory.total), int(memory.available)


def _group_memory() -> tuple[int, int] | None:
    """What is left of a container's memory (cgroup v2), and its limit; None without one.

    Cached files count as used there. Those that nobody uses give way, as a model does that was just downloaded.
    """
    try:
        limit, used = int((_GROUP / "memory.max").read_text()), int((_GROUP / "memory.current").read_text())
        fields = dict(line.split(" ", 1) for line in (_GROUP / "memory.stat").read_text().splitlines())
        idle = int(fields.get("inactive_file", 0))
    except (OSError, ValueError):  # no cgroup v2, or "max": no limit
        return None
    return max(0, limit - max(0, used - idle)), limit


def _core(cpu: int) -> str:
    try:
        return (_CPU / f"cpu{cpu}/topology/thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def _quota() -> int | None:
    """Whole cores that a container's CPU quota pays for (cgroup v2), or None without a quota."""
    try:
        quota, period = (_GROUP / "cpu.max").read_text().split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return None
