"""Loading: progress, options, adapters, and what every bad file or option is answered with."""

from pathlib import Path

import gguf
import numpy as np
import pytest

from ggufrun.errors import InputError, ModelFileError, OptionError, OutOfMemory
from ggufrun.llama import devices
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.model import Model
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import EngineSettings, LoraSpec, ModelSettings
from tests.llama.steps import feed, question

SMALL = EngineSettings(parallel=1, cached_sequences=0)


def load_error(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        Model.load(ModelSettings(path))
    assert "\n" not in str(caught.value)
    return caught.value


def test_files_that_are_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty.gguf").touch()
    (tmp_path / "noise.gguf").write_bytes(np.random.default_rng(1).bytes(4096))
    (tmp_path / "magic.gguf").write_bytes(b"GGUF" + np.random.default_rng(2).bytes(4096))
    for name, words in {
        "missing.gguf": "no such file",
        "": "is a directory",
        "empty.gguf": "the file is empty",
        "noise.gguf": "not a GGUF file",
        "magic.gguf": "GGUF version",
    }.items():
        error = load_error(tmp_path / name)
        assert isinstance(error, ModelFileError)
        assert words in str(error)
        with pytest.raises(ModelFileError):
            LlamaVocabulary.from_path(tmp_path / name)


def test_an_unknown_architecture(tmp_path: Path) -> None:
    path = tmp_path / "new.gguf"
    writer = gguf.GGUFWriter(path, "quantum9")
    writer.add_block_count(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    error = load_error(path)
    assert isinstance(error, ModelFileError)
    assert "'quantum9'" in error.reason
    assert "llama-cpp-python" in error.hint


@pytest.mark.model
@pytest.mark.parametrize("size", [2_000, 1_000_000, 50_000_000])
def test_a_truncated_file(demo_path: Path, tmp_path: Path, size: int) -> None:
    path = tmp_path / "half.gguf"
    with demo_path.open("rb") as file:
        path.write_bytes(file.read(size))
    error = load_error(path)
    assert isinstance(error, ModelFileError)
    if size > 10_000_000:  # the header is whole
        assert error.reason.startswith("truncated: it has 50,000,000 of ")
        with pytest.raises(ModelFileError, match="truncated: it has"):
            LlamaVocabulary.from_path(path)


@pytest.mark.model
def test_options_that_name_nothing(demo_path: Path) -> None:
    for bad in (
        ModelSettings(demo_path, devices=("CUDA77",)),
        ModelSettings(demo_path, override_tensors=("blk",)),
        ModelSettings(demo_path, override_tensors=("blk=NOWHERE",)),
        ModelSettings(demo_path, override_tensors=("(blk=CPU",)),
        ModelSettings(demo_path, tensor_split=(1.0,) * 999),
    ):
        with pytest.raises(OptionError) as caught:
            Model.load(bad)
        assert caught.value.hint
        assert "\n" not in str(caught.value)


@pytest.mark.model
def test_options_that_load(demo_path: Path) -> None:
    settings = ModelSettings(
        demo_path,
        context=256,
        threads=1,
        gpu_layers=3,
        mmap=False,
        devices=("none",),
        override_tensors=("ffn_.*=CPU",),
        flash_attention="off",
    )
    seen: list[float] = []
    backend = LlamaBackend.load(settings, SMALL, seen.append)
    vocabulary = LlamaVocabulary(backend.model)
    feed(backend, 0, question(vocabulary))
    backend.close()
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 10


@pytest.mark.model
def test_progress_may_end_the_load(demo_path: Path) -> None:
    def stop(done: float) -> None:
        if done > 0.3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Model.load(ModelSettings(demo_path, mmap=False), stop)


@pytest.mark.model
def test_a_context_that_does_not_fit(demo_path: Path) -> None:
    with pytest.raises(OutOfMemory, match="--context"):
        LlamaBackend.load(ModelSettings(demo_path, context=2_000_000_000), SMALL)
    with pytest.raises(OptionError, match="too large"):
        LlamaBackend.load(ModelSettings(demo_path, context=2**40), SMALL)
    with pytest.raises(OptionError, match="too small"):  # llama.cpp would end the process
        LlamaBackend.load(ModelSettings(demo_path, context=16), EngineSettings())


def test_the_cpu_is_a_device() -> None:
    cpus = [device for device in devices.devices() if device.is_cpu]
    assert cpus and cpus[0].total > 2**30
    assert "CPU" in devices.buffer_types()


def write_adapter(path: Path, size: int) -> None:
    """A rank-1 adapter of SmolLM2's first query projection (`size` is 576 in the real model)."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 1.0)
    random = np.random.default_rng(3)
    writer.add_tensor("blk.0.attn_q.weight.lora_a", random.normal(size=(1, size)).astype(np.float32))
    writer.add_tensor("blk.0.attn_q.weight.lora_b", random.normal(size=(size, 1)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.mark.model
def test_an_adapter_changes_the_logits_by_its_scale(
    demo_path: Path, tmp_path: Path, vocabulary: LlamaVocabulary
) -> None:
    write_adapter(tmp_path / "lora.gguf", 576)
    rows = []
    for loras in ((), (LoraSpec(tmp_path / "lora.gguf", 0.0),), (LoraSpec(tmp_path / "lora.gguf", 1.0),)):
        backend = LlamaBackend.load(ModelSettings(demo_path, context=256, threads=1, loras=loras), SMALL)
        rows.append(feed(backend, 0, question(vocabulary)))
        if loras:
            backend.reset()
            assert np.abs(feed(backend, 0, question(vocabulary)) - rows[-1]).max() < 1e-3
        backend.close()
    none, zero, whole = rows
    assert np.abs(none - zero).max() < 1e-3
    assert np.abs(none - whole).max() > 0.1


@pytest.mark.model
def test_bad_adapters(demo_path: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "wrong.gguf", 64)
    (tmp_path / "noise.gguf").write_bytes(b"GGUF" + bytes(1000))
    for path in (tmp_path / "wrong.gguf", tmp_path / "noise.gguf", tmp_path / "none.gguf", demo_path):
        with pytest.raises(ModelFileError) as caught:
            Model.load(ModelSettings(demo_path, loras=(LoraSpec(path),)))
        assert caught.value.path == path
        assert "\n" not in str(caught.value)
