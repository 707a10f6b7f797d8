"""What the probe measures is what llama.cpp says after a real load, to the byte: with the file, and with its header."""

import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from llama_cpp import llama_cpp as ll

from ggufrun.fit.measured import Amounts
from ggufrun.fit.probe import Probe
from ggufrun.llama import library
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.breakdown import breakdown
from ggufrun.llama.context import ContextPlan, open_context
from ggufrun.llama.devices import devices
from ggufrun.llama.embedder import LlamaEmbedder
from ggufrun.llama.model import Model
from ggufrun.llama.open import open_backend
from ggufrun.settings import EngineSettings, KvType, ModelOverrides, ModelSettings
from ggufrun.weights.header import read_header
from tests.shapes import SMALL, sparse_copy, write

pytestmark = pytest.mark.process

ONE = EngineSettings(parallel=1, cached_sequences=0, batch=64)
KNOBS: tuple[tuple[ModelOverrides, EngineSettings], ...] = (
    ({"context": 512}, EngineSettings()),
    ({"context": 4096, "flash_attention": "on"}, EngineSettings()),
    ({"context": 4096, "flash_attention": "off"}, EngineSettings(parallel=2, batch=2048)),
    ({"context": 3000, "kv_type": "q8_0"}, EngineSettings()),
    ({"context": 2048, "kv_type": "q4_0"}, ONE),
    ({"context": 100}, ONE),  # rows of a step: 64
    ({}, ONE),  # the model's own context, or 16,384
)


@pytest.fixture(scope="module")
def probe() -> Iterator[Probe]:
    with Probe() as probe:
        yield probe


def folded(context: Any) -> dict[str, Amounts]:
    """What a real context and its model take, in the probe's words."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for buffers in breakdown(context):
        for place, size in enumerate((buffers.weights, buffers.kv, buffers.compute)):
            sums[buffers.device or "RAM"][place] += size
    return {name: Amounts(*sizes) for name, sizes in sums.items()}


def check(probe: Probe, path: Path, header: Path) -> None:
    """Loads once, and makes a context for each of the KNOBS; the probe is told of `path`, then of `header` alone."""
    base = ModelSettings(path, threads=1)
    measured = [probe.measure(replace(base, **knobs), engine) for knobs, engine in KNOBS]
    model = Model.load(replace(base, mmap=False))
    try:
        for (knobs, engine), found in zip(KNOBS, measured, strict=True):
            context = open_context(model, ContextPlan.make(model, replace(base, **knobs), engine))
            real = folded(context)
            ll.llama_free(context)
            assert found.devices == real, knobs
    finally:
        model.close()
    base = replace(base, path=header)
    assert [probe.measure(replace(base, **knobs), engine) for knobs, engine in KNOBS] == measured


def test_the_demo_model(probe: Probe, demo_path: Path, tmp_path: Path) -> None:
    check(probe, demo_path, sparse_copy(demo_path, tmp_path / "header.gguf"))


@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
def test_what_the_engine_loads(probe: Probe, demo_path: Path, kv_type: KvType) -> None:
    settings = ModelSettings(demo_path, context=2048, mmap=False, kv_type=kv_type)
    opened = open_backend(settings, EngineSettings(), lambda _: None)
    assert isinstance(opened.backend, LlamaBackend)
    real = folded(opened.backend._context)
    opened.backend.close()
    assert probe.measure(settings).devices == real


def test_gemma(probe: Probe, gemma_path: Path, tmp_path: Path) -> None:
    check(probe, gemma_path, sparse_copy(gemma_path, tmp_path / "header.gguf"))


@pytest.mark.parametrize("kind", SMALL)
def test_shapes(probe: Probe, shape: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    check(probe, path := shape(kind), sparse_copy(path, tmp_path / "header.gguf"))


def test_a_recurrent_model(probe: Probe, tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    check(probe, path := tiny_model("recurrent-tiny"), sparse_copy(path, tmp_path / "header.gguf"))


def test_a_split_set(probe: Probe, shape: Callable[..., Path], tmp_path: Path) -> None:
    first = write("dense", tmp_path / "dense.gguf", shards=3)
    files = sorted(tmp_path.glob("dense-0000?-of-00003.gguf"))
    assert first == files[0] and len(files) == 3
    (headers := tmp_path / "headers").mkdir()
    copies = [sparse_copy(file, headers / file.name) for file in files]
    check(probe, first, copies[0])
    whole = ModelSettings(shape("dense"), context=512)
    assert probe.measure(whole) == probe.measure(replace(whole, path=first))


@pytest.mark.parametrize(("kv_type", "bytes_each"), [("f16", 2), ("q8_0", 34 / 32), ("q4_0", 18 / 32)])
def test_the_cache_is_what_its_cells_take(
    probe: Probe, shape: Callable[..., Path], kv_type: KvType, bytes_each: float
) -> None:
    def kv(kind: str, context: int) -> int:
        settings = ModelSettings(shape(kind), context=context, kv_type=kv_type, gpu_layers=0)
        return probe.measure(settings, ONE).devices["RAM"].kv

    assert kv("dense", 4096) == 6 * 2 * 2 * 64 * 4096 * bytes_each
    assert kv("dense", 4000) == 6 * 2 * 2 * 64 * 4096 * bytes_each  # cells come in 256
    assert kv("experts", 4096) == 4 * (256 + 64) * 4096 * bytes_each  # MLA keeps no values
    window = 768  # 512 positions and a step of 64 rows, in cells of 256
    assert kv("sliding", 4096) == 2 * 1 * 128 * (4096 + 5 * window) * bytes_each


def test_the_flagship_by_its_header(shape: Callable[..., Path]) -> None:
    """125 billion parameters and the real vocabulary of 131,072 tokens: no weight is read, and little memory taken."""
    path = shape("medium-3.5", tekken=True)
    with Probe() as probe:
        settings = ModelSettings(path, context=32_768, kv_type="q8_0", gpu_layers=0)
        whole = probe.measure(settings).devices["RAM"]
        in_file = sum(tensor.size or 0 for tensor in read_header(path).tensors)
        assert in_file * 0.98 < whole.weights < in_file * 1.1  # those for AMX are laid out a little longer
        assert whole.kv == 88 * 2 * 8 * 128 * 32_768 * 34 // 32
        elsewhere = replace(settings, override_tensors=(r"blk\.8[0-7]\.ffn_.*=CPU",))  # laid out again, and the same
        assert probe.measure(elsewhere).devices["RAM"] == whole
        assert probe._child is not None
        assert psutil.Process(probe._child.pid).memory_info().rss < 1 << 30
        more = probe.measure(replace(settings, context=262_144)).devices["RAM"]
        assert more.kv == whole.kv * 8 and more.weights == whole.weights


@pytest.mark.parametrize("kind", ["bert-tiny", "llama-mean-tiny"])
def test_an_embedding_model(probe: Probe, tiny_model: Callable[[str], Path], kind: str) -> None:
    settings = ModelSettings(tiny_model(kind), mmap=False, gpu_layers=0)
    opened = open_backend(settings, EngineSettings(), lambda _: None)
    assert isinstance(opened.backend, LlamaEmbedder)
    measured, plan = probe.measure(settings), opened.backend.plan
    assert measured.devices == folded(opened.backend._context)
    assert (measured.context, measured.sequences, measured.ubatch) == (plan.context, plan.sequences, plan.ubatch)
    opened.backend.close()


_LOAD = """
import sys, psutil
from pathlib import Path
from ggufrun.engine.backend import Run
from ggufrun.llama.backend import LlamaBackend
from ggufrun.settings import ModelSettings
settings = ModelSettings(Path(sys.argv[1]), context=4096, mmap=False, gpu_layers=0, threads=2)
LlamaBackend.load(ModelSettings(settings.path, context=64, gpu_layers=0)).close()
before = psutil.Process().memory_info().rss
backend = LlamaBackend.load(settings)
backend.decode([Run(0, 0, list(range(100, 116)), outputs=1)])
print(psutil.Process().memory_info().rss - before)
"""


def test_a_process_grows_about_as_much(probe: Probe, demo_path: Path) -> None:
    """Only about: pages of a step that nothing touched are not there, the vocabulary and threads are not counted."""
    measured = probe.measure(ModelSettings(demo_path, context=4096, gpu_layers=0), EngineSettings()).devices["RAM"]
    out = subprocess.run([sys.executable, "-c", _LOAD, str(demo_path)], capture_output=True, text=True, check=True)
    grown = int(out.stdout)
    assert 0.8 * (measured.weights + measured.kv) < grown < 1.2 * (sum_of(measured) + (64 << 20))


def sum_of(amounts: Amounts) -> int:
    return amounts.weights + amounts.kv + amounts.compute


def test_on_a_gpu(probe: Probe, shape: Callable[..., Path], demo_path: Path, gemma_path: Path) -> None:
    """All layers, some and none there, and experts in RAM while the rest is there."""
    if not library.supports_gpu():
        pytest.skip("no GPU, or no llama-cpp-python built for it; with both: pytest tests/fit/test_exact.py -k gpu")
    gpus = {device.name for device in devices() if not device.is_cpu and device.total}
    for path in (demo_path, gemma_path, *map(shape, SMALL)):
        for layers in (0, 2, 99):
            settings = ModelSettings(path, context=4096, gpu_layers=layers)
            assert same_on_gpu(probe, settings, gpus if layers else set())
    experts = ModelSettings(shape("experts"), context=4096, override_tensors=(r"ffn_.*_exps=CPU",))
    assert same_on_gpu(probe, experts, gpus)


def same_on_gpu(probe: Probe, settings: ModelSettings, gpus: set[str]) -> bool:
    """Whether the weights lie where they should; that the amounts are the same is asserted."""
    backend = LlamaBackend.load(replace(settings, mmap=False))
    real = folded(backend._context)
    backend.close()
    measured = probe.measure(settings).devices
    assert measured == real, settings
    return any(measured[name].weights for name in gpus & set(measured)) is bool(gpus)
