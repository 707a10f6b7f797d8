"""What this machine is: system, Python, processor and memory. GPUs are in `graphics`; nothing here asks llama.cpp."""

import os
import platform
import re
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ggufrun.doctor.output import output_of
from ggufrun.llama.hardware import available_memory, physical_cores, total_memory

# The processor's features that matter to ggml, by the system's names, and ggml's name for them.
_FEATURES: Final = {
    "avx": "AVX",
    "avx2": "AVX2",
    "f16c": "F16C",
    "fma": "FMA",
    "avx_vnni": "AVX_VNNI",
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512_VNNI",
    "avx512_bf16": "AVX512_BF16",
    "amx_int8": "AMX_INT8",
    "asimd": "NEON",
    "asimddp": "DOTPROD",
    "i8mm": "MATMUL_INT8",
    "sve": "SVE",
}
_APPLE: Final = {"AdvSIMD": "NEON", "arm.FEAT_DotProd": "DOTPROD", "arm.FEAT_I8MM": "MATMUL_INT8"}  # hw.optional.
_INTEL_MAC: Final = {"AVX1.0": "AVX", "AVX2": "AVX2", "F16C": "F16C", "FMA": "FMA", "AVX512F": "AVX512"}
_WINDOWS: Final = {39: "AVX", 40: "AVX2", 41: "AVX512", 43: "DOTPROD"}  # IsProcessorFeaturePresent's numbers


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """Bytes, and ggml's names for the features. `features` is empty where the system does not say."""

    system: str
    python: str
    bits: int
    processor: str
    features: tuple[str, ...]
    cores: int  # physical ones that this process may use
    threads: int  # logical ones of the machine
    ram_total: int
    ram_free: int
    inside: str  # "container", "WSL" or ""


def read_system(root: Path = Path("/")) -> SystemFacts:
    """`root` is where /proc and /etc are."""
    cpuinfo = _text(root / "proc/cpuinfo")
    return SystemFacts(
        system=_system(),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        bits=8 * struct.calcsize("P"),
        processor=processor_name(cpuinfo),
        features=features_of(cpuinfo),
        cores=physical_cores(),
        threads=os.cpu_count() or 1,
        ram_total=total_memory(),
        ram_free=available_memory(),
        inside=_inside(root),
    )


def processor_name(cpuinfo: str) -> str:
    """From /proc/cpuinfo's text; elsewhere the system is asked."""
    if found := re.search(r"^(?:model name|Model|cpu model)\s*:\s*(.+)$", cpuinfo, re.MULTILINE):
        return found[1].strip()
    if sys.platform == "darwin":
        return output_of("sysctl", "-n", "machdep.cpu.brand_string").strip() or platform.machine()
    return platform.processor() or platform.machine()


def features_of(cpuinfo: str) -> tuple[str, ...]:
    """From /proc/cpuinfo's text; elsewhere the system is asked."""
    if found := re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE):
        flags = set(found[1].split())
        return tuple(name for flag, name in _FEATURES.items() if flag in flags)
    if sys.platform == "darwin":
        return _features_of_mac()
    if sys.platform == "win32":
        import ctypes

        has = ctypes.windll.kernel32.IsProcessorFeaturePresent
        return tuple(name for number, name in _WINDOWS.items() if has(number))
    return ()


def _features_of_mac() -> tuple[str, ...]:
    told = output_of("sysctl", "hw.optional")
    arm = tuple(name for key, name in _APPLE.items() if re.search(rf"^hw\.optional\.{key}: 1$", told, re.MULTILINE))
    intel = output_of("sysctl", "-n", "machdep.cpu.features", "machdep.cpu.leaf7_features").split()
    return arm + tuple(name for flag, name in _INTEL_MAC.items() if flag in intel)


def _system() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]} ({platform.machine()})"
    name = f"{platform.system()} {platform.release()} ({platform.machine()})"
    if sys.platform != "linux":
        return name
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {name}"
    except (OSError, KeyError):
        return name


def _inside(root: Path) -> str:
    if "microsoft" in _text(root / "proc/version").lower():
        return "WSL"
    marks = (root / ".dockerenv", root / "run/.containerenv")
    return "container" if any(mark.exists() for mark in marks) else ""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
