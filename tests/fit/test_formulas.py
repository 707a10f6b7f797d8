"""The formulas against llama.cpp's own numbers: caches to the byte, weights too, and compute buffers nearly.

The probe is held against real loads in `test_exact`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.gpu.weights import SHAPES
from ggufrun.fit.compute import projector_compute
from ggufrun.fit.machine import Machine
from ggufrun.fit.placement import Use
from ggufrun.fit.planner import make_plan
from ggufrun.fit.probe import Probe
from ggufrun.fit.search import Search
from ggufrun.fit.shape import Shape
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.fit.task import Task
from ggufrun.settings import EngineSettings, KvType, ModelOverrides, ModelSettings
from ggufrun.weights.header import read_header
from tests.fit.planned import header_of, machine_of
from tests.shapes import SMALL

pytestmark = pytest.mark.process

CPU = Machine((), 1 << 40, 1 << 40, 1e11, "estimated", here=True)
KNOBS: tuple[tuple[int, KvType, EngineSettings], ...] = (
    (100, "f16", EngineSettings()),
    (3000, "f16", EngineSettings(parallel=1)),
    (4096, "q8_0", EngineSettings(parallel=3, cached_sequences=0, batch=64)),
    (16_384, "q4_0", EngineSettings(parallel=16)),
    (65_536, "f16", EngineSettings()),
)


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    with Probe() as probe:
        yield probe


def computed(path: Path, pinned: ModelOverrides, engine: EngineSettings) -> tuple[Shape, Use]:
    task = Task.of(Subject(path, (read_header(path),), "a model"), CPU, Wishes(pinned, engine))
    found = Search(task).in_ram(task.size(task.wanted_context, task.kv_types[0]))
    assert found is not None
    return task.shape, found.uses[-1]


def compare(probe: Probe, path: Path) -> None:
    """Some processors want weights laid out anew, a little longer; and a tied output is then a second copy."""
    for context, kv_type, engine in KNOBS:
        pinned = ModelOverrides(context=context, kv_type=kv_type, gpu_layers=0)
        measured = probe.measure(ModelSettings(path, **pinned), engine).devices["RAM"]
        shape, use = computed(path, pinned, engine)
        second = max(weight.ram for weight in shape.weights if weight.layer is None) if shape.tied else 0
        assert use.kv == measured.kv, (context, kv_type)
        assert use.weights <= measured.weights <= (use.weights + second) * 1.06 + 2048, (context, kv_type)
        assert measured.compute * 0.98 < use.compute < measured.compute * 1.7 + (12 << 20), (context, kv_type)


@pytest.mark.parametrize("kind", SMALL)
def test_shapes(probe: Probe, shape: Callable[..., Path], kind: str) -> None:
    compare(probe, shape(kind))


@pytest.mark.parametrize("kind", ["ministral-3b", "small-4"])
def test_as_large_as_real_ones(probe: Probe, shape: Callable[..., Path], kind: str) -> None:
    compare(probe, shape(kind))


def test_weights_that_stay_as_they_are_to_the_byte(probe: Probe, tiny_model: Callable[[str], Path]) -> None:
    """In 16 bits nothing is laid out anew."""
    path = tiny_model("mistral3-v13")
    measured = probe.measure(ModelSettings(path, context=512, gpu_layers=0)).devices["RAM"]
    assert computed(path, {"context": 512, "gpu_layers": 0}, EngineSettings())[1].weights == measured.weights


def test_a_recurrent_model(probe: Probe, tiny_model: Callable[[str], Path]) -> None:
    """Its state has a size for each sequence, and none for the context."""
    path = tiny_model("recurrent-tiny")
    for engine in (EngineSettings(), EngineSettings(parallel=2), EngineSettings(parallel=4, cached_sequences=1)):
        measured = probe.measure(ModelSettings(path, context=2048, gpu_layers=0), engine).devices["RAM"]
        _, use = computed(path, {"context": 2048, "gpu_layers": 0}, engine)
        assert use.kv == measured.kv > 0
        assert use.compute > measured.compute * 0.9


def test_gemma(probe: Probe, gemma_path: Path) -> None:
    compare(probe, gemma_path)


def test_the_demo_model(probe: Probe, demo_path: Path) -> None:
    compare(probe, demo_path)


@pytest.mark.parametrize(
    ("width", "feed_forward", "image", "mib"),
    [
        (1024, 4096, 784, 244),
        (1024, 4096, 1540, 904),
        (1024, 2048, 1120, 276),
        (512, 4096, 1120, 414),
        (1664, 8192, 1120, 832),
    ],
)
def test_an_image_takes_about_what_it_took(width: int, feed_forward: int, image: int, mib: int) -> None:
    """`mib`: by how much a process grew while a made-up Pixtral of two layers encoded one (llama-cpp-python 0.3.36)."""
    assert 0.95 < projector_compute(width, feed_forward, image, 14) / (mib << 20) < 1.16


MIB = 1 << 20
EXPERTS_IN_RAM = ("ffn_.*_exps=CPU",)
ALL_ON_THE_CARD = ("no such weight=CPU",)  # else a plan would move those that CUDA cannot compute with

# Compute buffers that llama.cpp itself told of: on the card, and in RAM. Bytes. NVIDIA H200, 2026-11-27,
# llama-cpp-python 0.3.36 with CUDA 13.0; benchmarks/results/2026-11-27-gpu.md.
ON_A_CARD: tuple[tuple[str, ModelOverrides, int, int], ...] = (
    ("small-24b", {"context": 4096}, 278_921_216, 25_182_208),
    ("small-24b", {"context": 32_768}, 278_921_216, 54_542_336),
    ("small-24b", {"context": 131_072}, 364_918_784, 155_205_632),
    ("small-24b", {"context": 32_768, "kv_type": "q8_0"}, 278_921_216, 54_624_256),
    ("small-24b", {"context": 131_072, "kv_type": "q8_0"}, 708_933_632, 155_287_552),
    ("small-24b", {"context": 8192, "flash_attention": "off"}, 595_601_408, 41_955_328),
    ("small-24b", {"context": 32_768, "flash_attention": "off"}, 2_256_545_792, 92_286_976),
    ("small-24b", {"context": 4096, "gpu_layers": 20}, 326_373_376, 29_376_512),
    ("small-24b", {"context": 16_384, "gpu_layers": 18}, 1_274_286_080, 54_542_336),
    ("small-24b", {"context": 65_536, "gpu_layers": 34, "kv_type": "q8_0"}, 599_070_208, 88_178_688),
    ("small4-4", {"context": 4096, "override_tensors": ALL_ON_THE_CARD}, 361_517_056, 943_728_640),
    ("small4-4", {"context": 32_768, "override_tensors": ALL_ON_THE_CARD}, 361_517_056, 956_311_552),
    ("small4-4", {"context": 131_072, "override_tensors": ALL_ON_THE_CARD}, 353_128_448, 1_023_420_416),
    (
        "small4-4",
        {"context": 131_072, "kv_type": "q8_0", "override_tensors": ALL_ON_THE_CARD},
        353_128_448,
        1_023_420_416,
    ),
    (
        "small4-4",
        {"context": 8192, "flash_attention": "off", "override_tensors": ALL_ON_THE_CARD},
        654_317_568,
        939_796_000,
    ),
    ("small4-4", {"context": 4096, "override_tensors": EXPERTS_IN_RAM}, 666_900_480, 62_924_800),
    ("small4-4", {"context": 32_768, "override_tensors": EXPERTS_IN_RAM}, 696_260_608, 75_507_712),
    ("medium-4", {"context": 32_768}, 293_601_280, 83_902_464),
    ("medium-4", {"context": 131_072}, 385_890_304, 184_565_760),
    ("medium-4", {"context": 131_072, "kv_type": "q8_0"}, 771_848_192, 184_647_680),
    ("medium-4", {"context": 8192, "flash_attention": "off"}, 1_732_257_792, 71_315_456),
    ("medium-4", {"context": 32_768, "flash_attention": "off"}, 6_614_427_648, 121_647_104),
)


@pytest.mark.parametrize(("kind", "pinned", "gpu", "ram"), ON_A_CARD)
def test_a_card(kind: str, pinned: ModelOverrides, gpu: int, ram: int) -> None:
    """Never less than it was by more than 5 MiB, and seldom much more."""
    subject = Subject(Path("made-up.gguf"), (header_of(SHAPES[kind]()),), kind)
    pinned = ModelOverrides(**{"gpu_layers": 999, **pinned})
    plan = make_plan(subject, machine_of(140, ram=128), Wishes(pinned, EngineSettings()), None)
    card, system = plan.devices
    for use, real in ((card, gpu), (system, ram)):
        assert real - 5 * MIB <= use.compute <= real * 1.03 + 100 * MIB, (use.name, use.compute - real)
