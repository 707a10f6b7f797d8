"""llama.cpp's memory breakdown, read out of its C++ map, and models that are laid out without being loaded."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from llama_cpp import llama_cpp as ll

from ggufrun.errors import CannotMeasure
from ggufrun.llama import breakdown as module
from ggufrun.llama.breakdown import Buffers, breakdown
from ggufrun.llama.context import ContextPlan, kv_bytes, open_context
from ggufrun.llama.model import Model
from ggufrun.llama.probe import Prober
from ggufrun.settings import EngineSettings, ModelSettings
from ggufrun.weights.header import read_header

pytestmark = pytest.mark.process

SMALL = EngineSettings(parallel=2, cached_sequences=2)


@contextmanager
def context_of(model: Model, settings: ModelSettings) -> Iterator[Any]:
    context = open_context(model, ContextPlan.make(model, settings, SMALL))
    try:
        yield context
    finally:
        ll.llama_free(context)
        model.close()


def laid_out(settings: ModelSettings, *, vocabulary: bool = True) -> tuple[Buffers, ...]:
    with context_of(Model.lay_out(settings, read_header(settings.path), vocabulary=vocabulary), settings) as context:
        return tuple(sorted(breakdown(context), key=lambda buffers: buffers.type))


@pytest.fixture
def loaded(tiny_model: Callable[[str], Path]) -> Iterator[tuple[Model, Any]]:
    settings = ModelSettings(tiny_model("llama-tiny"), context=1024, threads=1, mmap=False, gpu_layers=0)
    model = Model.load(settings)
    with context_of(model, settings) as context:
        yield model, context


def test_a_loaded_context_says_what_it_takes(loaded: tuple[Model, Any]) -> None:
    model, context = loaded
    found = breakdown(context)
    tensors = sum(tensor.size or 0 for tensor in read_header(model.path).tensors)
    assert {buffers.device for buffers in found} == {""}
    # F16 of AMX may be padded by a row of tiles; all else is as long as it is in the file
    assert tensors <= sum(buffers.weights for buffers in found) <= tensors * 1.1
    assert sum(buffers.kv for buffers in found) == kv_bytes(model, 1024, "f16")
    assert 1 << 16 < sum(buffers.compute for buffers in found) < 1 << 28


def test_mapped_weights_have_a_type_of_their_own(tiny_model: Callable[[str], Path]) -> None:
    """No device lists it. They count as what was mapped of the file."""
    settings = ModelSettings(tiny_model("llama-tiny"), context=1024, threads=1, mmap=True, gpu_layers=0)
    model = Model.load(settings)
    with context_of(model, settings) as context:
        found = {buffers.type: buffers for buffers in breakdown(context)}
    mapped = found["CPU_Mapped"]
    assert mapped.device == "" and 0 < mapped.weights <= settings.path.stat().st_size


def test_every_buffer_type_that_is_named_exists(loaded: tuple[Model, Any]) -> None:
    types = {buffers.type for buffers in breakdown(loaded[1])}
    assert "CPU" in types
    assert len(types) <= len(module._buffer_types())


@pytest.mark.parametrize("missing", ["_SYMBOL", "_LIBSTDCXX"])
def test_a_library_without_it_cannot_be_asked(
    loaded: tuple[Model, Any], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(module, missing, "_ZN3nosuchEv")
    with pytest.raises(CannotMeasure, match=r"built with|does not export"):
        breakdown(loaded[1])


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_cannot_be_asked(loaded: tuple[Model, Any], monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(CannotMeasure, match="built with"):
        breakdown(loaded[1])


def test_another_layout_is_noticed(loaded: tuple[Model, Any]) -> None:
    """Trees that are none: a crooked address, more nodes than were counted, a key that is no buffer type."""
    with pytest.raises(CannotMeasure, match="laid out"):
        list(module._nodes(0x1001, 1))
    leaf = module._Node(0, 0, 0, 0, 4096, 1, 2, 3)
    root = module._Node(0, 0, ctypes.addressof(leaf), ctypes.addressof(leaf), 4096, 1, 2, 3)
    with pytest.raises(CannotMeasure, match="laid out"):
        list(module._nodes(ctypes.addressof(root), 2))
    with pytest.raises(CannotMeasure, match="laid out"):
        module._buffers(leaf)
    known = next(iter(module._buffer_types()))
    assert module._buffers(module._Node(0, 0, 0, 0, known, 1, 2, 3)).kv == 2
    with pytest.raises(CannotMeasure, match="laid out"):
        module._buffers(module._Node(0, 0, 0, 0, known, 1 << 60, 2, 3))


@pytest.mark.parametrize("kind", ["mistral3-v13", "spm-mistral-v3", "bert-tiny", "recurrent-tiny"])
def test_a_vocabulary_changes_no_size(tiny_model: Callable[[str], Path], kind: str) -> None:
    settings = ModelSettings(tiny_model(kind), context=512, threads=1)
    assert laid_out(settings) == laid_out(settings, vocabulary=False)
    model = Model.lay_out(settings, read_header(settings.path), vocabulary=False)
    assert ll.llama_vocab_type(ll.llama_model_get_vocab(model.handle)) == ll.LLAMA_VOCAB_TYPE_NONE
    model.close()


def test_a_model_of_70_gb_is_laid_out_in_little_memory(shape: Callable[..., Path]) -> None:
    settings = ModelSettings(shape("medium-3.5"), context=262_144, gpu_layers=0)
    before = psutil.Process().memory_info().rss
    found = laid_out(settings)
    assert sum(buffers.weights for buffers in found) > 70e9
    assert sum(buffers.kv for buffers in found) == 88 * 2 * 8 * 128 * 2 * 262_144
    assert psutil.Process().memory_info().rss - before < 300 << 20


def test_a_vocabulary_is_loaded_once(shape: Callable[..., Path]) -> None:
    """It takes most of the time, and the search for a plan lays a model out many times."""
    prober, answers = Prober(), []
    for layers in (0, 1, 2):
        question = {"do": "measure", "settings": {"path": str(shape("dense")), "context": 512, "gpu_layers": layers}}
        answers.append(prober.answer(question))
        model = prober._model
        assert model is not None
        kind = ll.llama_vocab_type(ll.llama_model_get_vocab(model.handle))
        assert (kind == ll.LLAMA_VOCAB_TYPE_NONE) is (layers > 0)
    assert all("ok" in answer for answer in answers)
