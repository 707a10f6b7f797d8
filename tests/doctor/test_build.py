"""What is said of a llama.cpp build on a machine, and which one to install instead."""

from dataclasses import replace

import pytest

from ggufrun.doctor.asking import ChildFailed
from ggufrun.doctor.build import Build, BuildDevice, broken_build, judge_build, read_build
from ggufrun.doctor.finding import Finding
from ggufrun.doctor.graphics import Drivers, SystemGpu
from ggufrun.doctor.remedy import CUDA_WHEELS, INDEX, WANTED, cuda_wheels, gpu_build
from ggufrun.errors import EngineError
from ggufrun.install import llama_build, machine

CPU = BuildDevice("CPU", "a processor", True, 8 << 30, 16 << 30)
CARD = BuildDevice("CUDA0", "NVIDIA GeForce RTX 4090", False, 20 << 30, 24 << 30)
RTX = (SystemGpu("NVIDIA", "NVIDIA GeForce RTX 4090"),)
DRIVER = Drivers(nvidia="550.54", cuda="12.4", capabilities=(8.9,))


def build(features: str = "CPU : AVX2 = 1", *devices: BuildDevice, amx_right: bool = True, cuda: bool = False) -> Build:
    backends = ("CUDA", "CPU") if cuda else ("CPU",)
    return Build("0.3.36", "1.0", features, cuda, backends, amx_right, (CPU, *devices))


def judged(about: Build, gpus: tuple[SystemGpu, ...], drivers: Drivers, topic: str = "GPU") -> Finding:
    return next(finding for finding in judge_build(about, ("AVX2",), gpus, drivers) if finding.topic == topic)


def test_a_gpu_that_is_seen() -> None:
    assert judged(build("CPU : AVX2 = 1", CARD, cuda=True), RTX, DRIVER).level == "ok"


def test_a_gpu_that_a_build_for_the_processor_does_not_use() -> None:
    finding = judged(build(), RTX, DRIVER)
    assert finding.level == "warning"
    assert "RTX 4090" in finding.says
    assert f"--extra-index-url {INDEX}/cu124" in finding.next
    assert 'CMAKE_ARGS="-DGGML_CUDA=on"' in finding.next


def test_rpc_is_no_way_to_use_a_gpu() -> None:
    finding = judged(replace(build(), backends=("RPC", "CPU")), RTX, DRIVER)
    assert "was built without" in finding.says and "--extra-index-url" in finding.next


def test_a_gpu_without_a_driver() -> None:
    finding = judged(build(), RTX, Drivers())
    assert (finding.level, finding.next.startswith("Install NVIDIA's driver")) == ("warning", True)


def test_a_gpu_that_a_build_for_it_does_not_see() -> None:
    finding = judged(build(cuda=True), RTX, DRIVER)
    assert (finding.level, "CUDA_VISIBLE_DEVICES" in finding.next) == ("warning", True)


@pytest.mark.parametrize(("gpus", "level"), [((), "note"), ((SystemGpu("Intel", "UHD"),), "note")])
def test_nothing_to_gain_is_no_warning(gpus: tuple[SystemGpu, ...], level: str) -> None:
    assert judged(build(), gpus, Drivers()).level == level


def test_what_the_processor_has_and_the_build_does_not_use() -> None:
    found = judge_build(build(), ("AVX2", "AVX512"), (), Drivers())
    finding = next(each for each in found if each.topic == "processor")
    assert (finding.level, "AVX512," in finding.says) == ("warning", True)
    assert judged(build(), (), Drivers(), "processor").level == "ok"


@pytest.mark.parametrize(("right", "level"), [(True, "ok"), (False, "warning")])
def test_the_matrix_unit(right: bool, level: str) -> None:
    assert judged(build("CPU : AMX_INT8 = 1 | AVX2 = 1", amx_right=right), (), Drivers(), "AMX").level == level


def test_a_build_that_does_not_run() -> None:
    illegal = broken_build(ChildFailed("was ended", illegal=True))
    assert (illegal.level, "newer processor" in illegal.says) == ("fault", True)
    assert broken_build(EngineError("libcudart.so is missing.", "Install it.")).next == "Install it."


def test_the_installer_knows_the_same() -> None:
    assert (WANTED, INDEX, CUDA_WHEELS) == (llama_build.WANTED, llama_build.INDEX, machine.CUDA_WHEELS)
    for cuda in ("11.8", "12.2", "12.4", "12.9", "13.0", "13.5", ""):
        for card in (6.1, 7.5, 12.0):
            banner = f"| Driver Version: 1   CUDA Version: {cuda} |"
            assert cuda_wheels(cuda, (card,)) == machine.cuda_wheels(banner, f"{card}\n")


def test_other_makers() -> None:
    assert f"{INDEX}/rocm72" in gpu_build("AMD", Drivers(rocm="6.2"))
    assert "GGML_VULKAN" in gpu_build("AMD", Drivers())
    assert f"{INDEX}/metal" in gpu_build("Apple", Drivers())


@pytest.mark.process
def test_the_build_that_is_installed() -> None:
    found = read_build()
    assert "CPU" in found.backends
    assert found.enabled
    assert any(device.is_cpu and device.total for device in found.devices)
