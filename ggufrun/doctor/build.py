"""The llama.cpp build inside: what it says of itself, and whether it suits this machine."""

import re
from dataclasses import dataclass
from typing import Final

from ggufrun.doctor.asking import ChildFailed, ask
from ggufrun.doctor.finding import Finding, Level
from ggufrun.doctor.graphics import Drivers, SystemGpu
from ggufrun.doctor.remedy import cpu_build, gpu_build, vendor_flag
from ggufrun.errors import EngineError

_NO_GPU: Final = ("CPU", "BLAS", "RPC")  # backends; a worker's GPU is another machine's
_ANSWER_S: Final = 60.0  # a GPU's driver that wakes up may take its time
_ENABLED: Final = re.compile(r"(\w+) = 1\b")
# Builds say it by other names, or the feature comes with another one.
_IMPLIED: Final = {"AVX": "AVX2", "NEON": "NEON"}


@dataclass(frozen=True, slots=True)
class BuildDevice:
    """One of ggml's devices. Bytes."""

    name: str
    description: str
    is_cpu: bool
    free: int
    total: int


@dataclass(frozen=True, slots=True)
class Build:
    binding: str  # llama-cpp-python's version
    llama: str
    features: str  # llama.cpp's own line, "CPU : AVX2 = 1 | …"
    offload: bool
    backends: tuple[str, ...]
    amx_right: bool
    devices: tuple[BuildDevice, ...]

    @property
    def gpus(self) -> tuple[BuildDevice, ...]:
        return tuple(device for device in self.devices if not device.is_cpu and device.name != "BLAS")

    @property
    def enabled(self) -> frozenset[str]:
        return frozenset(_ENABLED.findall(self.features))


def read_build() -> Build:
    """Raises EngineError where llama.cpp does not load."""
    told = ask("ggufrun.doctor.native", timeout_s=_ANSWER_S)
    devices = tuple(BuildDevice(**each) for each in told.pop("devices"))
    return Build(**{**told, "backends": tuple(told["backends"])}, devices=devices)


def broken_build(error: EngineError) -> Finding:
    if isinstance(error, ChildFailed) and error.illegal:
        says = "llama.cpp was built for a newer processor than this one: it ended at an illegal instruction."
        return Finding("llama.cpp", "fault", says, f"Compile it for this one: {cpu_build()}")
    return Finding("llama.cpp", "fault", error.message, error.hint or f"Install it again: {cpu_build()}")


def judge_build(
    build: Build, features: tuple[str, ...], gpus: tuple[SystemGpu, ...], drivers: Drivers
) -> tuple[Finding, ...]:
    return (*_unseen(build, gpus, drivers), *_unused(build, features), *_amx(build))


def _unseen(build: Build, gpus: tuple[SystemGpu, ...], drivers: Drivers) -> tuple[Finding, ...]:
    """A GPU that the system has and llama.cpp does not see."""
    if build.gpus:
        return (Finding("GPU", "ok", f"llama.cpp sees {_count(len(build.gpus), 'GPU')}."),)
    if not gpus:
        return (
            Finding("GPU", "note", "The system has no GPU that llama.cpp could use: it computes on the processor."),
        )
    vendor = min((gpu.vendor for gpu in gpus), key=("NVIDIA", "Apple", "AMD", "Intel").index)
    names = ", ".join(sorted({gpu.name for gpu in gpus if gpu.vendor == vendor}))
    level: Level = "note" if vendor == "Intel" else "warning"
    if build.offload or any(name not in _NO_GPU for name in build.backends):
        says = (
            f"The system has {names}, and this llama.cpp could use a GPU ({', '.join(build.backends)}) but sees none."
        )
        return (Finding("GPU", "warning", says, _driver_hint(vendor, drivers)),)
    says = f"The system has {names}, and this llama.cpp was built without {vendor_flag(vendor)}: it does not use it."
    if vendor == "NVIDIA" and not drivers.nvidia:
        return (Finding("GPU", level, says, f"{_driver_hint(vendor, drivers)} Then: {gpu_build(vendor, drivers)}"),)
    return (Finding("GPU", level, says, f"Install another build: {gpu_build(vendor, drivers)}"),)


def _driver_hint(vendor: str, drivers: Drivers) -> str:
    if vendor == "NVIDIA" and not drivers.nvidia:
        return "Install NVIDIA's driver; in a container, start it with --gpus all."
    if vendor == "NVIDIA":
        return "Look at CUDA_VISIBLE_DEVICES and at `nvidia-smi`; a new driver needs a restart."
    if vendor == "AMD":
        return "Look at HIP_VISIBLE_DEVICES, and join the groups that own /dev/kfd (render, video)."
    return "Install its Vulkan driver (`vulkaninfo --summary` lists what is there)."


def _unused(build: Build, features: tuple[str, ...]) -> tuple[Finding, ...]:
    """Features of the processor that the build leaves unused. Backends that are loaded at run time know them all."""
    if not build.enabled:
        return ()
    unused = [name for name in features if name not in build.enabled and _IMPLIED.get(name) not in build.enabled]
    if not unused:
        return (Finding("processor", "ok", "llama.cpp was built for all that this processor can do."),)
    says = f"llama.cpp was built without {', '.join(unused)}, which this processor has."
    return (Finding("processor", "warning", says, f"It will be faster compiled here: {cpu_build()}"),)


def _amx(build: Build) -> tuple[Finding, ...]:
    if "AMX_INT8" not in build.enabled:
        return ()
    if build.amx_right:
        return (Finding("AMX", "ok", "The matrix unit (AMX) is used, and was compiled right."),)
    says = "The matrix unit (AMX) was compiled by a GCC that does it wrong (PR114098), so ggufrun leaves it off."
    hint = f"Prompts will be read about three times as fast after: {cpu_build()}, with GCC 13.3 or newer."
    return (Finding("AMX", "warning", says, hint),)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
