"""Which llama.cpp to install instead, as the exact command. `make` in a checkout decides by the same facts.

The installer (`ggufrun/install`) is no part of an installed package, so its addresses are here again; a test compares.
"""

import sys
from typing import Final

from ggufrun.doctor.graphics import Drivers, Vendor

WANTED: Final = "llama-cpp-python>=0.3.36,<0.4"
INDEX: Final = "https://abetlen.github.io/llama-cpp-python/whl"
CUDA_WHEELS: Final = (132, 130, 125, 124, 123, 122, 121, 118)
_FLAGS: Final[dict[Vendor, str]] = {
    "NVIDIA": "GGML_CUDA",
    "AMD": "GGML_HIP",
    "Intel": "GGML_VULKAN",
    "Apple": "GGML_METAL",
}
_NAMES: Final[dict[Vendor, str]] = {"NVIDIA": "CUDA", "AMD": "ROCm or Vulkan", "Intel": "Vulkan", "Apple": "Metal"}


def cpu_build() -> str:
    """Compiled on this machine, for its processor."""
    return _compiled("GGML_NATIVE")


def gpu_build(vendor: Vendor, drivers: Drivers) -> str:
    """A prebuilt wheel where there may be one; where it does not fit, the compiler."""
    wheels = _wheels(vendor, drivers)
    compiled = _compiled("GGML_VULKAN" if vendor == "AMD" and not drivers.rocm else _FLAGS[vendor])
    if not wheels:
        return compiled
    index = f"--extra-index-url {INDEX}/{wheels[0]}"
    wheel = f'python -m pip install --force-reinstall --only-binary llama-cpp-python {index} "{WANTED}"'
    return f"{wheel}   or compile it, with the toolkit installed: {compiled}"


def vendor_flag(vendor: Vendor) -> str:
    """What a build for this maker's GPUs has."""
    return _NAMES[vendor]


def cuda_wheels(cuda: str, capabilities: tuple[float, ...]) -> list[str]:
    """The wheel indexes that an NVIDIA driver can run, newest first; `cuda` is the newest version it knows."""
    if not cuda:
        return []
    major, minor = cuda.split(".")[:2]
    newest = int(major) * 10 + int(minor)
    if any(number < 7.5 for number in capabilities):
        newest = min(newest, 129)  # CUDA 13 dropped the cards before Turing
    return [f"cu{version}" for version in CUDA_WHEELS if version <= newest]


def _wheels(vendor: Vendor, drivers: Drivers) -> list[str]:
    if vendor == "NVIDIA":
        return cuda_wheels(drivers.cuda, drivers.capabilities)
    if vendor == "AMD" and drivers.rocm:
        return ["rocm72"]
    if vendor == "Apple":
        return ["metal"]
    return ["vulkan"] if drivers.vulkan else []


def _compiled(flag: str) -> str:
    options = f'--force-reinstall --no-cache-dir --no-binary llama-cpp-python "{WANTED}"'
    install = f"python -m pip install {options}"
    if sys.platform == "win32":
        return f'$env:CMAKE_ARGS="-D{flag}=on"; {install}'
    return f'CMAKE_ARGS="-D{flag}=on" {install}'
