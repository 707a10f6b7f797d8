"""The GPUs that the system knows of, and their drivers, whether llama.cpp can use them or not."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from ggufrun.doctor.output import output_of

Vendor = Literal["NVIDIA", "AMD", "Intel", "Apple"]

_VENDORS: Final[dict[str, Vendor]] = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel", "0x106b": "Apple"}
_NAMES: Final[tuple[tuple[str, Vendor], ...]] = (
    ("nvidia", "NVIDIA"),
    ("amd", "AMD"),
    ("radeon", "AMD"),
    ("intel", "Intel"),
    ("apple", "Apple"),
)
_DISPLAY: Final = "0x03"  # the PCI class of display controllers begins so


@dataclass(frozen=True, slots=True)
class SystemGpu:
    vendor: Vendor
    name: str


@dataclass(frozen=True, slots=True)
class Drivers:
    """`nvidia` and `amd` are versions, "" where there is none. `cuda` is the newest CUDA that the driver can run."""

    nvidia: str = ""
    cuda: str = ""  # "12.4"
    capabilities: tuple[float, ...] = ()  # compute capability of each NVIDIA card
    amd: str = ""
    rocm: str = ""  # the version of its programs, which are no part of the driver
    vulkan: bool = False  # a Vulkan loader with a device that is no CPU

    @property
    def words(self) -> str:
        nvidia = f"NVIDIA {self.nvidia}" + (f" (CUDA up to {self.cuda})" if self.cuda else "") if self.nvidia else ""
        amd = f"amdgpu {self.amd}" if self.amd else ""
        rocm = f"ROCm {self.rocm}" if self.rocm else ""
        return ", ".join(filter(None, (nvidia, amd, rocm, "Vulkan" if self.vulkan else ""))) or "none found"


def system_gpus(root: Path = Path("/")) -> tuple[SystemGpu, ...]:
    """`root` is where /sys, /proc and /dev are. Display chips that cannot compute (servers', virtual) are left out."""
    if sys.platform == "win32":
        query = "Get-CimInstance Win32_VideoController | Select-Object Name | ConvertTo-Json"
        return named_gpus(_names_in(output_of("powershell", "-NoProfile", "-Command", query), "Name"))
    if sys.platform == "darwin":
        return named_gpus(_names_in(output_of("system_profiler", "SPDisplaysDataType", "-json"), "sppci_model"))
    return pci_gpus(root) or device_nodes(root)


def pci_gpus(root: Path) -> tuple[SystemGpu, ...]:
    found: list[SystemGpu] = []
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        vendor = _VENDORS.get(_text(device / "vendor"))
        if vendor is None or not _text(device / "class").startswith(_DISPLAY):
            continue
        told = _text(root / f"proc/driver/nvidia/gpus/{device.name}/information")
        model = re.search(r"^Model:\s*(.+)$", told, re.MULTILINE)
        name = model[1].strip() if model else f"{vendor} {_listed(device.name) or _text(device / 'device')}"
        found.append(SystemGpu(vendor, name))
    return tuple(found)


def device_nodes(root: Path) -> tuple[SystemGpu, ...]:
    """Containers and WSL have no PCI bus, and may have a GPU."""
    nodes = sorted((root / "dev").glob("nvidia[0-9]*"))
    if nodes:
        return tuple(SystemGpu("NVIDIA", f"NVIDIA GPU (/dev/{each.name})") for each in nodes)
    if (root / "dev/dxg").exists() and (root / "usr/lib/wsl/lib/libcuda.so.1").exists():
        return (SystemGpu("NVIDIA", "NVIDIA GPU of the Windows around"),)
    return (SystemGpu("AMD", "AMD GPU (/dev/kfd)"),) if (root / "dev/kfd").exists() else ()


def named_gpus(names: Sequence[str]) -> tuple[SystemGpu, ...]:
    """By what the system calls them."""
    pairs = ((name, next((vendor for word, vendor in _NAMES if word in name.lower()), None)) for name in names)
    return tuple(SystemGpu(vendor, name) for name, vendor in pairs if vendor)


def read_drivers(root: Path = Path("/")) -> Drivers:
    banner = output_of("nvidia-smi") or output_of(str(root / "usr/lib/wsl/lib/nvidia-smi"))
    cuda = re.search(r"CUDA(?: \w+)? Version: *(\d+\.\d+)", banner)
    version = re.search(r"Driver Version: *([\d.]+)", banner)
    kernel = re.search(r"Kernel Module(?: for \w+)?\s+([\d.]+)", _text(root / "proc/driver/nvidia/version"))
    cards = output_of("nvidia-smi", "--format=csv,noheader", "--query-gpu=compute_cap") if banner else ""
    devices = re.findall(r"deviceType\s*=\s*PHYSICAL_DEVICE_TYPE_(\w+)", output_of("vulkaninfo", "--summary"))
    return Drivers(
        nvidia=version[1] if version else kernel[1] if kernel else "",
        cuda=cuda[1] if cuda else "",
        capabilities=tuple(float(number) for number in re.findall(r"\d+\.\d+", cards)),
        amd=_text(root / "sys/module/amdgpu/version") or ("in the kernel" if (root / "dev/kfd").exists() else ""),
        rocm=_text(root / "opt/rocm/.info/version"),
        vulkan=any(device != "CPU" for device in devices),
    )


def _listed(slot: str) -> str:
    """What `lspci` calls the device, "" where it is not installed."""
    line = output_of("lspci", "-s", slot, timeout_s=3)
    return line.partition(": ")[2].strip()


def _names_in(text: str, key: str) -> list[str]:
    """All strings under `key` in a program's JSON."""
    try:
        return list(_under(json.loads(text), key)) if text.strip() else []
    except ValueError:
        return []


def _under(value: Any, key: str) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in _under(item, key)]
    if not isinstance(value, dict):
        return []
    own = [value[key]] if isinstance(value.get(key), str) else []
    return own + [found for item in value.values() for found in _under(item, key)]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
