"""What a report must say beside its figures: the machine, and the versions of what measured"""

import os
import platform
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from ggufrun.errors import CannotMeasure, OutOfMemory
from ggufrun.fit.probe import Probe
from ggufrun.llama import library
from ggufrun.llama.hardware import physical_cores, total_memory

_CPUINFO: Final = Path("/proc/cpuinfo")
_NAME: Final = re.compile(r"^(?:model name|Model|cpu model)\s*:\s*(.+)$", re.MULTILINE)


def hardware(probe: Probe) -> dict[str, Any]:
    try:
        devices = [device for device in probe.devices() if not device.is_cpu]
    except (CannotMeasure, OutOfMemory):
        devices = []
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": physical_cores(),
        "threads": os.cpu_count(),
        "ram_bytes": total_memory(),
        "gpus": [{"name": each.name, "description": each.description, "bytes": each.total} for each in devices],
        "llama_cpp_build": library.system_info(),
    }


def computing() -> list[str]:
    """What computes here, by its names: speeds depend on it, and the last bits of all that is computed."""
    names = [_processor(), f"{physical_cores()} cores"]
    if library.supports_gpu():
        with Probe() as probe, suppress(CannotMeasure, OutOfMemory):
            names += [f"{each.name} {each.description}" for each in probe.devices()]
    return names


def _processor() -> str:
    try:
        found = _NAME.search(_CPUINFO.read_text(encoding="utf-8", errors="replace"))
    except OSError:  # not Linux
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    names = ("ggufrun", "llama_cpp_python", "numpy")
    return {"python": platform.python_version(), **{name: _version(name) for name in names}, "llama.cpp": _llama()}


def _llama() -> str:
    return library.version().split(" ", 1)[0]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"
