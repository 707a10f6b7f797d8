"""What this machine gives to the CPU backend: cores and memory. Devices that llama.cpp finds are in `devices`."""

import os
from pathlib import Path

_CPU = Path("/sys/devices/system/cpu")


def physical_cores() -> int:
    """Physical cores that this process may use; where the system does not say, its logical ones.

    A second hyper-thread on a core slows matrix products down, so it is not counted.
    """
    if not hasattr(os, "sched_getaffinity"):  # macOS, Windows
        return os.cpu_count() or 1
    usable = os.sched_getaffinity(0)
    cores = {_core(cpu) for cpu in usable}
    return max(1, min(len(cores), _quota() or len(cores)))


def available_memory() -> int | None:
    """Bytes that can be allocated without swapping, or None where the system does not say (only Linux does here)."""
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        available = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    group = Path("/sys/fs/cgroup")
    try:
        limit, used = int((group / "memory.max").read_text()), int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no cgroup v2, or "max": no limit
        return available
    return min(available, max(0, limit - used))


def _core(cpu: int) -> str:
    try:
        return (_CPU / f"cpu{cpu}/topology/thread_siblings_list").read_text().strip()
    except OSError:
        return str(cpu)


def _quota() -> int | None:
    """Whole cores that a container's CPU quota pays for (cgroup v2), or None without a quota."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return None
