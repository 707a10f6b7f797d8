"""The most memory that this process has had, its GPUs' included. Bytes"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from ggufrun.llama.devices import devices

_STATUS = Path("/proc/self/status")
_HIGH_WATER = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)


class Meter:
    """Begin before the model is loaded: what the GPUs' drivers say is of all processes, and compared with that."""

    def __init__(self) -> None:
        self._before = _free()

    def peak(self) -> int:
        """Of RAM the high-water mark, and of each GPU what is taken now."""
        now = _free()
        taken = sum(max(0, free - now.get(name, free)) for name, free in self._before.items())
        return high_water() + taken


def high_water() -> int:
    """The most RAM that this process has had resident, the pages of its mapped files included."""
    if sys.platform == "linux":  # getrusage would also count what the parent had when it started this process
        found = _HIGH_WATER.search(_STATUS.read_text())
        if found is not None:  # not every sandbox's kernel keeps it
            return int(found[1]) * 1024
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1024 if sys.platform == "linux" else 1)


def _free() -> Mapping[str, int]:
    """Of GPUs with memory of their own."""
    return {each.name: each.free for each in devices() if not (each.is_cpu or each.is_integrated)}
