"""What llama.cpp says of itself, where that is not taken as it is."""

from collections.abc import Callable
from pathlib import Path

import pytest
from llama_cpp import llama_cpp as ll

from ggufrun.llama import library
from ggufrun.llama.context import ContextPlan
from ggufrun.llama.devices import devices
from ggufrun.llama.load_params import LoadParams
from ggufrun.llama.model import Model
from ggufrun.settings import EngineSettings, ModelSettings
from ggufrun.weights.header import read_header


def test_a_build_with_rpc_has_no_gpu_where_none_is_seen(
    tiny_model: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a build says that it can offload, on any machine: planned steps and real ones must not differ by that."""
    monkeypatch.setattr(ll, "llama_supports_gpu_offload", lambda: True)
    seen = any(not device.is_cpu and device.total for device in devices())
    assert library.supports_gpu() is seen
    settings = ModelSettings(tiny_model("llama-tiny"), context=1024, threads=1)
    assert bool(LoadParams.for_weights(settings, None, read_header(settings.path)).native.n_gpu_layers) is seen
    model = Model.load(settings)
    plan = ContextPlan.make(model, settings, EngineSettings())
    model.close()
    assert plan.ubatch == (512 if seen else 128)
