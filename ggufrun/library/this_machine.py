"""This machine as plans see it, as JSON: devices, their memory and its speed, and the disk that pulls go to."""

import os
import shutil
from pathlib import Path
from typing import Any

from ggufrun.fit.machine import Gpu
from ggufrun.fit.probe import Probe
from ggufrun.library.machines import machine_of
from ggufrun.store.hub_folder import cache_folder


def machine_json() -> dict[str, Any]:
    """Takes a second: llama.cpp is asked, in a process of its own."""
    with Probe() as probe:
        machine, measure = machine_of(None, None, probe)
    return {
        "gpus": [_gpu(gpu) for gpu in machine.gpus],
        "ram": {
            "total_bytes": machine.ram_total,
            "free_bytes": machine.ram_free,
            "margin_bytes": machine.ram_margin,
            "bytes_per_s": machine.ram_bandwidth,
            "known": machine.ram_bandwidth_known,
        },
        "disk": _disk(cache_folder(os.environ)),
        "measures": measure is not None,
    }


def _gpu(gpu: Gpu) -> dict[str, Any]:
    return {
        "name": gpu.name,
        "description": gpu.description,
        "total_bytes": gpu.total,
        "free_bytes": gpu.free,
        "margin_bytes": gpu.margin,
        "bytes_per_s": gpu.bandwidth,
        "known": gpu.bandwidth_known,
        "shares_ram": gpu.shares_ram,
    }


def _disk(folder: Path) -> dict[str, Any]:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    usage = shutil.disk_usage(there)
    return {"folder": str(folder), "total_bytes": usage.total, "free_bytes": usage.free}
