"""Machines: this one, those that are described, and how fast their memory is."""

import json
import time
from pathlib import Path

import psutil
import pytest

from ggufrun.errors import OptionError
from ggufrun.fit import bandwidth
from ggufrun.fit.bandwidth import gpu_bandwidth, ram_bandwidth
from ggufrun.fit.machine import Machine, described_machine, machine_here
from ggufrun.fit.measured import ProbedDevice
from ggufrun.fit.planner import make_plan
from ggufrun.fit.subject import Wishes
from tests.fit.planned import GIB, check_room, machine_of, subject_of

HERE = Machine((), 32 * GIB, 30 * GIB, 40e9, "measured", here=True)
CPU = ProbedDevice("CPU", "a processor", True, 20 * GIB, 24 * GIB)


def test_gpus_are_described_by_size_and_speed() -> None:
    machine = described_machine("24GiB@1008, 12 gib,24GB,8192MB", None, HERE)
    assert [gpu.total for gpu in machine.gpus] == [24 * GIB, 12 * GIB, 24 * GIB, 8 * GIB]  # as cards are sold
    assert [gpu.bandwidth for gpu in machine.gpus] == [1008e9, 400e9, 900e9, 270e9]
    assert not machine.here and machine.ram_total == HERE.ram_total


def test_only_the_ram_can_be_another() -> None:
    machine = described_machine(None, "64GiB@80", HERE)
    assert machine.here  # no device is another one: llama.cpp can be asked
    assert (machine.ram_total, machine.ram_bandwidth, machine.ram_bandwidth_known) == (64 * GIB, 80e9, "estimated")
    assert machine.ram_free < machine.ram_total
    assert described_machine(None, "64", HERE).ram_bandwidth == bandwidth.GUESSED_RAM


def test_no_gpu() -> None:
    with_one = described_machine("24GiB", None, HERE)
    assert described_machine("none", None, with_one).gpus == ()
    assert described_machine("none", None, HERE).here  # here is none either


@pytest.mark.parametrize(
    "text", ["", "24Gi", "24GiB@", "24GiB@fast", "24GiB,", "24GiB@0", "-1GiB", "0GiB", "nan", "1e9", "none,24GiB"]
)
def test_what_describes_no_gpu(text: str) -> None:
    with pytest.raises(OptionError, match="--gpu cannot be") as caught:
        described_machine(text, None, HERE)
    assert "24GiB,12GiB" in caught.value.hint


def test_what_describes_no_ram() -> None:
    with pytest.raises(OptionError, match="--ram cannot be 'lots'") as caught:
        described_machine(None, "lots", HERE)
    assert "64GiB" in caught.value.hint


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else computes, and memory is measured at once."""
    monkeypatch.setattr(psutil, "getloadavg", lambda: (0.0, 0.0, 0.0))
    monkeypatch.setattr(bandwidth, "measured_ram", lambda: 3e10)


@pytest.mark.usefixtures("quick")
def test_this_machine_by_its_devices(tmp_path: Path) -> None:
    card = ProbedDevice("CUDA0", "NVIDIA GeForce RTX 4090", False, 23 * GIB, 24 * GIB)
    inside = ProbedDevice("Vulkan1", "Intel(R) UHD Graphics", False, 16 * GIB, 16 * GIB, is_integrated=True)
    machine = machine_here([card, inside, CPU], tmp_path)
    (gpu,) = machine.gpus  # llama.cpp takes the integrated one only where there is no other
    assert (gpu.name, gpu.free, gpu.bandwidth, gpu.shares_ram) == ("CUDA0", 23 * GIB, 1008e9, False)
    assert (machine.ram_free, machine.ram_total, machine.ram_bandwidth_known) == (20 * GIB, 24 * GIB, "measured")
    assert machine_here([inside, CPU], tmp_path).gpus[0].shares_ram
    assert machine_here([], tmp_path).ram_total > 0


@pytest.mark.usefixtures("quick")
def test_a_gpu_without_memory_of_its_own_takes_the_ram() -> None:
    """An Apple M2 with 16 GiB: a model must fit into what Metal offers, and into what the system leaves."""
    metal = ProbedDevice("MTL0", "Apple M2", False, 12 * GIB, 12 * GIB)
    machine = machine_here([metal, ProbedDevice("CPU", "Apple M2", True, 11 * GIB, 16 * GIB)], Path("/nonexistent"))
    assert machine.gpus[0].bandwidth == 100e9
    plan = make_plan(subject_of("ministral-14b"), machine, Wishes(), None)
    check_room(plan)
    ram = plan.devices[-1]
    assert ram.shared == plan.devices[0].needed and ram.needed + ram.shared + ram.margin <= ram.free


def test_margins() -> None:
    machine = machine_of(24, 4, ram=64)
    assert [gpu.margin for gpu in machine.gpus] == [GIB, GIB // 2]
    assert machine.ram_margin == 64 * GIB // 20 and machine_of(ram=8).ram_margin == GIB


@pytest.mark.parametrize(
    "description, size, speed",
    [
        ("NVIDIA GeForce RTX 3060", 12, 360),
        ("NVIDIA GeForce RTX 3060 Ti", 8, 448),
        ("NVIDIA GeForce RTX 4060 Laptop GPU", 8, 272),
        ("NVIDIA GeForce RTX 5090", 32, 1792),
        ("NVIDIA H100 80GB HBM3", 80, 3350),
        ("NVIDIA H100 PCIe", 80, 2039),
        ("NVIDIA A100-SXM4-80GB", 80, 2039),
        ("NVIDIA A100-PCIE-40GB", 40, 1555),
        ("NVIDIA L4", 24, 300),
        ("NVIDIA L40S", 48, 864),
        ("AMD Radeon RX 7900 XTX (RADV NAVI31)", 24, 960),
        ("Apple M4 Max", 96, 546),
        ("Apple M1", 12, 68),
        ("Brand New 9000", 24, 900),
        ("Brand New 9000", 22.4, 900),
        ("Brand New 9000", 17, 550),
        ("", 2, 200),
    ],
)
def test_a_card_is_known_by_its_name_else_by_its_size(description: str, size: float, speed: float) -> None:
    assert gpu_bandwidth(description, int(size * GIB)) == speed * 1e9


def test_the_table_is_plausible() -> None:
    names, guesses = bandwidth._table()
    assert len(names) > 100 and all(50e9 < speed < 10e12 for speed in (*names.values(), *guesses.values()))
    assert list(guesses.values()) == sorted(guesses.values())


def test_ram_is_measured_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "getloadavg", lambda: (0.0, 0.0, 0.0))
    monkeypatch.setattr(bandwidth, "_BYTES", 8 << 20)
    monkeypatch.setattr(bandwidth, "_MEASURED_S", 0.02)
    first = ram_bandwidth(tmp_path)
    assert 5e8 < first < 5e12
    monkeypatch.setattr(bandwidth, "measured_ram", lambda: 1.0)
    assert ram_bandwidth(tmp_path) == first
    (kept,) = json.loads((tmp_path / "bandwidth.json").read_text())
    for damaged in ([-1.0, 0.0], [1.0], 5e10, "fast", [True, "now"], [None, None]):
        (tmp_path / "bandwidth.json").write_text(json.dumps({kept: damaged}))
        assert ram_bandwidth(tmp_path) == 1.0
    (tmp_path / "bandwidth.json").write_text("[]")
    assert ram_bandwidth(tmp_path) == 1.0
    (tmp_path / "bandwidth.json").write_text('{"another processor": "fast"}')
    assert ram_bandwidth(tmp_path) == 1.0 and len(json.loads((tmp_path / "bandwidth.json").read_text())) == 1


def test_what_was_measured_beside_other_work_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "getloadavg", lambda: (1000.0, 0.0, 0.0))
    monkeypatch.setattr(bandwidth, "measured_ram", lambda: 2.0)
    assert ram_bandwidth(tmp_path) == 2.0 and not list(tmp_path.iterdir())


@pytest.mark.usefixtures("quick")
def test_the_best_of_several_days_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was measured first, beside other work that was just begun, is not the last word."""
    now = time.time()
    for day, (measured, best) in enumerate(((2e10, 2e10), (5e10, 5e10), (3e10, 5e10))):
        monkeypatch.setattr(time, "time", lambda day=day: now + day * 90_000)
        monkeypatch.setattr(bandwidth, "measured_ram", lambda measured=measured: measured)
        assert ram_bandwidth(tmp_path) == best
        monkeypatch.setattr(bandwidth, "measured_ram", lambda: 9e10)
        assert ram_bandwidth(tmp_path) == best  # not twice a day
    monkeypatch.setattr(time, "time", lambda: now + 900_000)
    monkeypatch.setattr(psutil, "getloadavg", lambda: (1000.0, 0.0, 0.0))
    assert ram_bandwidth(tmp_path) == 5e10  # not while others compute


@pytest.mark.usefixtures("quick")
def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert ram_bandwidth(tmp_path / "file") == 3e10
