"""The machine that a plan is for: this one, or one that the user describes. Bytes, and bytes a second."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from platformdirs import user_cache_path

from ggufrun.errors import OptionError
from ggufrun.fit.bandwidth import GUESSED_RAM, gpu_bandwidth, ram_bandwidth
from ggufrun.fit.measured import ProbedDevice

Known = Literal["measured", "computed", "estimated"]

_GIB: Final = 1 << 30
_GPU_MARGIN: Final = 1 * _GIB  # what a desktop and other programs take; the driver's own few hundred MiB, too
_RAM_MARGIN: Final = 1 * _GIB
_SYSTEM: Final = 2 * _GIB  # of a machine that is only described: its system's
_SIZE: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*(GiB|GB|G|MiB|MB|TiB|TB|)", re.IGNORECASE)
_UNITS: Final = {"": _GIB, "m": 1 << 20, "g": _GIB, "t": 1 << 40}  # memory of "24 GB" is sold, and has 24 GiB
_SPEED: Final = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)(?:\s*GB/s)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device that layers can go to. `name` is ggml's ("CUDA0")."""

    name: str
    description: str  # "NVIDIA GeForce RTX 4090"
    total: int
    free: int
    bandwidth: float  # bytes a second
    bandwidth_known: Known
    shares_ram: bool = False  # its memory is the machine's RAM
    remote: bool = False  # another machine's, which takes no part in this one's

    @property
    def margin(self) -> int:
        """Bytes of the free ones that a plan leaves free; of a small card an eighth."""
        return min(_GPU_MARGIN, self.total // 8)


@dataclass(frozen=True, slots=True)
class Machine:
    gpus: tuple[Gpu, ...]
    ram_total: int
    ram_free: int  # what can be had without swapping
    ram_bandwidth: float  # bytes a second, all cores reading
    ram_bandwidth_known: Known
    here: bool  # this machine: only then can its devices be measured

    @property
    def ram_margin(self) -> int:
        """Bytes of the free ones that a plan leaves free: 1 GiB, or 5 % where that is more."""
        return max(_RAM_MARGIN, self.ram_total // 20)


def machine_here(devices: Sequence[ProbedDevice], cache: Path | None = None) -> Machine:
    """`cache` is the folder that remembers the memory's speed; once a day it is measured, in half a second."""
    total, free = _ram(devices)
    speed = ram_bandwidth(cache or user_cache_path("ggufrun", appauthor=False))
    found = [device for device in devices if not device.is_cpu and device.total > 0]
    own = [device for device in found if not device.is_integrated]  # llama.cpp takes others only without these
    return Machine(tuple(map(_gpu, own or found)), total, free, speed, "measured", here=True)


def _gpu(device: ProbedDevice) -> Gpu:
    shared = device.is_integrated or device.name.lower().startswith(("metal", "mtl"))
    speed = gpu_bandwidth(device.description, device.total)
    return Gpu(device.name, device.description, device.total, device.free, speed, "estimated", shared)


def described_machine(gpu: str | None, ram: str | None, here: Machine) -> Machine:
    """The machine of --gpu and --ram; what neither says is as it is here. Raises OptionError."""
    machine = here
    if gpu is not None:
        gpus = (
            () if gpu.strip().lower() == "none" else tuple(_described(text, i) for i, text in enumerate(gpu.split(",")))
        )
        machine = replace(machine, gpus=gpus, here=here.here and gpus == here.gpus)
    if ram is not None:
        size, speed = size_and_speed(ram, "--ram", "64GiB or 64GiB@80 (GB/s)")
        free = max(size - _SYSTEM, size // 2)
        machine = replace(
            machine, ram_total=size, ram_free=free, ram_bandwidth=speed or GUESSED_RAM, ram_bandwidth_known="estimated"
        )
    return machine


def _described(text: str, number: int) -> Gpu:
    size, speed = size_and_speed(text, "--gpu", "24GiB,12GiB or 24GiB@1008 (GB/s), or none")
    return Gpu(f"GPU{number}", "as described", size, size, speed or gpu_bandwidth("", size), "estimated")


def size_and_speed(text: str, option: str, example: str) -> tuple[int, float | None]:
    """Bytes, and bytes a second where that is said, out of "24GiB@1008". Raises OptionError."""
    size_text, at, speed_text = text.strip().partition("@")
    size, speed = _SIZE.fullmatch(size_text.strip()), _SPEED.fullmatch(speed_text.strip())
    count = int(float(size[1]) * _UNITS[size[2][:1].lower()]) if size else 0
    if count < 1 << 28 or (at and (speed is None or float(speed[1]) <= 0)):
        raise OptionError(f"{option} cannot be {text.strip()!r}.", f"Write it as {example}.")
    return count, float(speed[1]) * 1e9 if speed else None


def _ram(devices: Sequence[ProbedDevice]) -> tuple[int, int]:
    """Total and free bytes: a probe knows a container's limits, too."""
    for device in devices:
        if device.is_cpu and device.total > 0:
            return device.total, device.free
    import psutil  # here: it takes a hundredth of a second, and a start without a plan needs none of it

    memory = psutil.virtual_memory()
    return int(memory.total), int(memory.available)
