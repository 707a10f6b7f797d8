"""What this machine has: a GPU that llama.cpp can use, a C++ compiler, a processor to tune for."""

from __future__ import annotations

import ctypes.util
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

CUDA_WHEELS = (132, 130, 125, 124, 123, 122, 121, 118)  # the CUDA versions that llama-cpp-python's index has


def output_of(*command: str) -> str:
    """What a command prints, or "" where it is missing, fails or hangs."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def cuda_wheels(banner: str, capabilities: str) -> list[str]:
    """The wheel indexes that an NVIDIA driver can run, newest first.

    `banner` is what `nvidia-smi` prints, `capabilities` the cards' compute capabilities, one a line.
    """
    found = re.search(r"CUDA(?: \w+)? Version: *(\d+)\.(\d+)", banner)
    if not found:
        return []
    newest = int(found[1]) * 10 + int(found[2])
    if any(float(number) < 7.5 for number in re.findall(r"\d+\.\d+", capabilities)):
        newest = min(newest, 129)  # CUDA 13 dropped the cards before Turing
    return [f"cu{version}" for version in CUDA_WHEELS if version <= newest]


def accelerator() -> tuple[str, list[str]]:
    """What the machine has, in words, and the wheel indexes that fit it, best first."""
    if sys.platform == "darwin":
        return ("Apple silicon", ["metal"]) if platform.machine() == "arm64" else ("an Intel Mac", [])
    if banner := output_of("nvidia-smi"):
        query = ("nvidia-smi", "--format=csv,noheader")
        name = output_of(*query, "--query-gpu=name").strip().split("\n")[0]
        return name or "an NVIDIA GPU", cuda_wheels(banner, output_of(*query, "--query-gpu=compute_cap"))
    if Path("/dev/kfd").exists() and (shutil.which("rocminfo") or Path("/opt/rocm").exists()):
        return "an AMD GPU with ROCm", ["rocm72"]
    devices = re.findall(r"deviceType\s*=\s*PHYSICAL_DEVICE_TYPE_(\w+)", output_of("vulkaninfo", "--summary"))
    if ctypes.util.find_library("vulkan") and any(device != "CPU" for device in devices):
        return "a Vulkan GPU", ["vulkan"]
    return "no GPU", []


def missing_compiler() -> str:
    """How to install a C++ compiler where there is none, else ""."""
    if sys.platform == "win32":
        programs = Path(os.environ.get("PROGRAMFILES(X86)", "C:/Program Files (x86)"))
        if shutil.which("cl") or (programs / "Microsoft Visual Studio/Installer/vswhere.exe").exists():
            return ""
        return "winget install Microsoft.VisualStudio.2022.BuildTools (tick: Desktop development with C++)"
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), "")
    if compiler and output_of(*shlex.split(compiler), "--version"):
        return ""
    if sys.platform == "darwin":
        return "xcode-select --install"
    hints = {
        "apt-get": "sudo apt-get install g++",
        "dnf": "sudo dnf install gcc-c++",
        "pacman": "sudo pacman -S gcc",
        "zypper": "sudo zypper install gcc-c++",
        "apk": "apk add g++ linux-headers",
    }
    return next((hint for manager, hint in hints.items() if shutil.which(manager)), "a C++17 compiler such as g++")


def fingerprint(*more: str) -> str:
    """Twelve hex digits of what a compiled llama.cpp depends on here: it is tuned to the processor."""
    processor = platform.processor()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        processor = found[1] if found else processor
    facts = (sys.platform, platform.machine(), platform.libc_ver(), processor, *more)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def cache_folder() -> Path:
    """ggufrun's folder among the user's caches, as platformdirs would name it."""
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/ggufrun"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "ggufrun/Cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ggufrun"
