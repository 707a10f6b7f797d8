"""The measuring process and its parent: errors as a load would raise them, aborts, hangs and other ends."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from gguf import GGUFWriter

from ggufrun.errors import CannotMeasure, ModelFileError, OptionError, OutOfMemory
from ggufrun.fit.probe import Probe
from ggufrun.settings import EngineSettings, LoraSpec, ModelSettings
from tests import shapes

pytestmark = pytest.mark.process
posix = pytest.mark.skipif(os.name != "posix", reason="signals")


@pytest.fixture
def probe() -> Iterator[Probe]:
    with Probe() as probe:
        yield probe


@pytest.fixture
def settings(tiny_model: Callable[[str], Path]) -> ModelSettings:
    return ModelSettings(tiny_model("llama-tiny"), context=512, gpu_layers=0)


def child(probe: Probe) -> psutil.Process:
    assert probe._child is not None
    return psutil.Process(probe._child.pid)


def test_what_is_settled_is_said(probe: Probe, settings: ModelSettings) -> None:
    measured = probe(settings, EngineSettings(parallel=3, cached_sequences=2, batch=100))
    assert (measured.context, measured.batch, measured.ubatch, measured.sequences) == (512, 100, 100, 5)
    assert set(measured.devices) == {"RAM"}


def test_devices(probe: Probe) -> None:
    processor = next(device for device in probe.devices() if device.is_cpu)
    assert processor.name == "CPU" and 0 < processor.free <= processor.total <= psutil.virtual_memory().total
    assert all(device.total > 0 for device in probe.devices())


def test_errors_are_those_of_a_load(probe: Probe, settings: ModelSettings, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such file"):
        probe.measure(ModelSettings(tmp_path / "none.gguf"))
    (tmp_path / "cut.gguf").write_bytes(settings.path.read_bytes()[:-1000])
    with pytest.raises(ModelFileError, match="truncated") as caught:
        probe.measure(ModelSettings(tmp_path / "cut.gguf"))
    assert caught.value.path == tmp_path / "cut.gguf" and caught.value.hint
    with pytest.raises(OptionError, match="No device is called"):
        probe.measure(ModelSettings(settings.path, devices=("CUDA7",)))
    with pytest.raises(OptionError, match="too large"):
        probe.measure(ModelSettings(settings.path, context=1 << 40))
    probe.measure(settings)  # none of that hurt it


def test_any_path(probe: Probe, settings: ModelSettings, tmp_path: Path) -> None:
    odd = tmp_path / 'a "b"\n\u00fc\\.gguf'
    odd.write_bytes(settings.path.read_bytes())
    assert probe.measure(ModelSettings(odd, context=512, gpu_layers=0)) == probe.measure(settings)


def test_a_file_that_changed_is_laid_out_anew(probe: Probe, tmp_path: Path) -> None:
    def weights(kind: str) -> int:
        path = shapes.write(kind, tmp_path / "new.gguf")
        path.replace(tmp_path / "model.gguf")
        return probe.measure(ModelSettings(tmp_path / "model.gguf", gpu_layers=0)).devices["RAM"].weights

    assert weights("dense") < 13e6 < 20e6 < weights("experts")


def test_an_adapters_bytes_count_as_weights(probe: Probe, settings: ModelSettings, tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "lora.gguf", "llama")
    writer.add_tensor("blk.0.attn_q.weight.lora_a", np.zeros((1, 64), np.float32))
    writer.add_tensor("blk.0.attn_q.weight.lora_b", np.zeros((64, 1), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    adapted = ModelSettings(settings.path, context=512, gpu_layers=0, loras=(LoraSpec(tmp_path / "lora.gguf"),))
    plain = probe.measure(settings).devices["RAM"].weights
    assert probe.measure(adapted).devices["RAM"].weights == plain + 2 * 64 * 4


def test_an_abort_of_llama_cpp_is_an_error(
    probe: Probe, settings: ModelSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header that llama.cpp itself takes for impossible, and asserts."""
    shape = shapes.dense()
    broken = shapes.ModelShape(shape.architecture, {**shape.metadata, "rope.dimension_count": 32}, shape.layers)
    monkeypatch.setattr(shapes, "KINDS", {"broken": lambda: broken})
    with pytest.raises(CannotMeasure, match=r"ended with code -?\d+: mistral3\.cpp:\d+: GGML_ASSERT") as caught:
        probe.measure(ModelSettings(shapes.write("broken", tmp_path / "broken.gguf"), context=512))
    assert "/" not in caught.value.why
    assert probe.measure(settings).context == 512  # by another child


@posix
@pytest.mark.parametrize(("end", "error"), [(signal.SIGSEGV, CannotMeasure), (signal.SIGKILL, OutOfMemory)])
def test_other_ends(probe: Probe, settings: ModelSettings, end: signal.Signals, error: type[Exception]) -> None:
    """A wrong guess at native memory ends in the first; Linux ends processes by the second when memory runs out."""
    probe.measure(settings)
    child(probe).send_signal(end)
    with pytest.raises(error):
        probe.measure(settings)
    assert probe.measure(settings).context == 512


@posix
def test_a_child_that_hangs_is_given_up(settings: ModelSettings) -> None:
    with Probe(answer_s=30) as probe:
        probe.measure(settings)
        probe._answer_s = 0.5
        hung = child(probe)
        hung.send_signal(signal.SIGSTOP)
        with pytest.raises(CannotMeasure, match=r"no answer came in 0\.5 s"):
            probe.measure(settings)
        assert not hung.is_running()


def test_a_closed_probe_leaves_no_child(settings: ModelSettings) -> None:
    with Probe() as probe:
        probe.measure(settings)
        process = child(probe)
    assert not process.is_running()
    with pytest.raises(CannotMeasure, match="closed"):
        probe.measure(settings)


@posix
def test_closing_does_not_wait_for_an_answer(settings: ModelSettings) -> None:
    """Nor does who asked: a child that hangs is not waited for when the program is to end."""
    probe = Probe(answer_s=30)
    probe.measure(settings)
    hung = child(probe)
    hung.send_signal(signal.SIGSTOP)
    heard: list[Exception] = []

    def ask() -> None:
        try:
            probe.measure(settings)
        except CannotMeasure as error:
            heard.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    while not probe._lock.locked():
        time.sleep(0.01)
    began = time.monotonic()
    probe.close()
    asking.join(60)
    assert time.monotonic() - began < 30 and not hung.is_running()
    assert [str(error) for error in heard] == [str(CannotMeasure("the measuring process was closed"))]


def test_without_a_process_there_is_an_error(monkeypatch: pytest.MonkeyPatch, settings: ModelSettings) -> None:
    monkeypatch.setattr(sys, "executable", "/no/python")
    with Probe() as probe, pytest.raises(CannotMeasure, match="no process"):
        probe.measure(settings)


_PARENT = """
import os, sys
from pathlib import Path
from ggufrun.fit.probe import Probe
from ggufrun.settings import ModelSettings
probe = Probe()
probe.measure(ModelSettings(Path(sys.argv[1]), context=512))
print(probe._child.pid, flush=True)
os._exit(0)
"""


def test_a_parent_that_dies_takes_its_child_along(settings: ModelSettings) -> None:
    out = subprocess.run(
        [sys.executable, "-c", _PARENT, str(settings.path)], stdout=subprocess.PIPE, text=True, timeout=60, check=True
    )
    until = time.monotonic() + 60
    while psutil.pid_exists(int(out.stdout)):
        assert time.monotonic() < until, "the child outlived its parent"
        time.sleep(0.05)
