"""The machine as the system tells it, from trees of files as Linux has them."""

from pathlib import Path

import pytest

from ggufrun.doctor.graphics import Drivers, SystemGpu, device_nodes, named_gpus, pci_gpus, read_drivers
from ggufrun.doctor.machine import features_of, processor_name, read_system
from ggufrun.doctor.memory_speed import judge_speed, memory_speed

XEON = """processor\t: 0
model name\t: Intel(R) Xeon(R) Platinum
flags\t\t: fpu sse sse2 avx f16c fma avx2 avx512f avx512_vnni amx_int8 amx_tile
"""
PI = """processor\t: 0
Features\t: fp asimd evtstrm crc32 asimddp
Model\t\t: Raspberry Pi 5 Model B Rev 1.0
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_processors_by_cpuinfo() -> None:
    assert processor_name(XEON) == "Intel(R) Xeon(R) Platinum"
    assert features_of(XEON) == ("AVX", "AVX2", "F16C", "FMA", "AVX512", "AVX512_VNNI", "AMX_INT8")
    assert (processor_name(PI), features_of(PI)) == ("Raspberry Pi 5 Model B Rev 1.0", ("NEON", "DOTPROD"))


def test_this_machine() -> None:
    facts = read_system()
    assert 0 < facts.ram_free <= facts.ram_total
    assert 0 < facts.cores <= facts.threads
    assert facts.bits == 64
    assert facts.processor


def test_a_container(tmp_path: Path) -> None:
    assert read_system(tmp_path).inside == ""
    write(tmp_path / ".dockerenv", "")
    assert read_system(tmp_path).inside == "container"


def test_wsl(tmp_path: Path) -> None:
    write(tmp_path / "proc/version", "Linux version 5.15.167.4-microsoft-standard-WSL2")
    assert read_system(tmp_path).inside == "WSL"


def test_gpus_on_the_pci_bus(tmp_path: Path) -> None:
    """A card, a chip in the processor, a server's display chip that cannot compute, and a network card."""
    devices = {
        "0000:01:00.0": ("0x10de", "0x030000"),
        "0000:02:00.0": ("0x1002", "0x038000"),
        "0000:03:00.0": ("0x1a03", "0x030000"),
        "0000:04:00.0": ("0x8086", "0x020000"),
    }
    for slot, (vendor, kind) in devices.items():
        folder = tmp_path / "sys/bus/pci/devices" / slot
        for name, text in (("vendor", vendor), ("class", kind), ("device", "0x9999")):
            write(folder / name, f"{text}\n")
    write(
        tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA GeForce RTX 4090\nIRQ: 1\n"
    )
    first, second = pci_gpus(tmp_path)
    assert first == SystemGpu("NVIDIA", "NVIDIA GeForce RTX 4090")
    assert (second.vendor, second.name.startswith("AMD ")) == ("AMD", True)


@pytest.mark.parametrize(
    ("files", "vendor"),
    [
        (["dev/nvidia0", "dev/nvidiactl"], "NVIDIA"),
        (["dev/kfd"], "AMD"),
        (["dev/dxg"], None),
        (["dev/nvidiactl"], None),
    ],
)
def test_gpus_in_a_container(tmp_path: Path, files: list[str], vendor: str | None) -> None:
    for file in files:
        write(tmp_path / file, "")
    assert [gpu.vendor for gpu in device_nodes(tmp_path)] == ([vendor] if vendor else [])


def test_gpus_by_name() -> None:
    gpus = named_gpus(
        ["NVIDIA GeForce RTX 4090", "Intel(R) UHD Graphics", "Microsoft Basic Display Adapter", "Apple M3"]
    )
    assert [gpu.vendor for gpu in gpus] == ["NVIDIA", "Intel", "Apple"]


def test_drivers(tmp_path: Path) -> None:
    line = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024"
    write(tmp_path / "proc/driver/nvidia/version", f"{line}\n")
    write(tmp_path / "opt/rocm/.info/version", "6.2.0-66\n")
    drivers = read_drivers(tmp_path)
    assert drivers.nvidia.count(".") == 2
    assert drivers.rocm == "6.2.0-66"
    assert Drivers().words == "none found"


@pytest.mark.parametrize(("kept", "now", "levels"), [(50e9, 55e9, []), (6e9, 50e9, ["warning"]), (50e9, 6e9, ["note"])])
def test_a_speed_that_was_measured_in_a_busy_hour(kept: float, now: float, levels: list[str]) -> None:
    assert [finding.level for finding in judge_speed(kept, now)] == levels


@pytest.mark.process  # takes half a second
def test_the_memory_here(tmp_path: Path) -> None:
    (tmp_path / "bandwidth.json").write_text("{}")
    speed, _ = memory_speed(tmp_path)
    assert speed > 1e8
