"""What is given up, in which order, and what is not."""

from pathlib import Path

from ggufrun.fit.ladder import Knobs, Ladder
from ggufrun.settings import ModelSettings

Rung = tuple[int | None, str, int | str]  # context, KV type, GPU layers


def rungs(settings: ModelSettings, knobs: Knobs, *, weights: bool = False) -> list[Rung]:
    ladder = Ladder(settings, knobs)
    found: list[Rung] = []
    while ladder.step(weights=weights):
        now = ladder.settings
        found.append((now.context, now.kv_type, now.gpu_layers))
    return found


def settings(context: int | None = None, gpu_layers: int | None = None) -> ModelSettings:
    return ModelSettings(Path("a.gguf"), context=context, gpu_layers="auto" if gpu_layers is None else gpu_layers)


def test_without_a_gpu_the_context_is_halved_then_the_cache_is_coarser() -> None:
    assert rungs(settings(), Knobs(context=20_000)) == [
        (9984, "f16", "auto"),  # in steps of 256, as llama.cpp has them
        (4864, "f16", "auto"),
        (4096, "f16", "auto"),
        (4096, "q8_0", "auto"),
    ]


def test_layers_leave_the_gpu_last_by_quarters() -> None:
    assert rungs(settings(4096, 30), Knobs(context=4096, gpu_layers=30)) == [
        (4096, "q8_0", 30),
        (4096, "q8_0", 22),
        (4096, "q8_0", 15),
        (4096, "q8_0", 7),
        (4096, "q8_0", 0),
    ]


def test_a_few_layers_leave_one_by_one() -> None:
    assert [rung[2] for rung in rungs(settings(2048, 2), Knobs(2048, gpu_layers=2, quantizable=False))] == [1, 0]


def test_where_the_weights_do_not_fit_a_shorter_context_does_not_help() -> None:
    plan = ModelSettings(Path("a.gguf"), context=16_384, gpu_layers=8, tensor_split=(5, 3))
    ladder = Ladder(plan, Knobs(context=16_384, gpu_layers=8))
    assert ladder.step(weights=True)
    assert ladder.settings == ModelSettings(Path("a.gguf"), context=16_384, gpu_layers=6)
    assert not Ladder(settings(), Knobs(context=16_384)).step(weights=True)


def test_what_is_pinned_stays() -> None:
    def pinned(*names: str) -> list[Rung]:
        return rungs(settings(8192, 4), Knobs(8192, 4, pinned=names))

    assert {rung[0] for rung in pinned("context")} == {8192}
    assert {rung[1] for rung in pinned("kv_type")} == {"f16"}
    for name in ("gpu_layers", "devices", "tensor_split", "override_tensors"):
        assert {rung[2] for rung in pinned(name)} == {4}
    assert pinned("context", "kv_type", "gpu_layers") == []


def test_a_cache_that_cannot_be_coarser_is_left_alone() -> None:
    assert rungs(settings(4096), Knobs(4096, quantizable=False)) == []
    off = ModelSettings(Path("a.gguf"), context=4096, flash_attention="off")
    assert rungs(off, Knobs(4096)) == []
    assert rungs(ModelSettings(Path("a.gguf"), context=4096, kv_type="q4_0"), Knobs(4096)) == []


def test_a_cache_that_the_model_refuses_is_taken_back() -> None:
    ladder = Ladder(settings(8192, 4), Knobs(8192, gpu_layers=4))
    assert not ladder.drop_q8_0()
    assert ladder.step(weights=False) and ladder.step(weights=False)
    assert ladder.settings.kv_type == "q8_0"
    assert ladder.drop_q8_0() and not ladder.drop_q8_0()
    assert ladder.step(weights=False)
    assert ladder.settings == ModelSettings(Path("a.gguf"), context=4096, gpu_layers=3)
    assert "q8_0" not in ladder.tried + ladder.given_up


def test_what_is_said() -> None:
    ladder = Ladder(settings(None, 4), Knobs(8192, gpu_layers=4))
    assert (ladder.given_up, ladder.stepped) == ("", False)
    for _ in range(3):
        ladder.step(weights=False)
    assert ladder.stepped
    assert ladder.given_up == ("context 4096 instead of 8192, KV cache q8_0 instead of f16, GPU layers 3 instead of 4")
    assert ladder.tried == (
        "context 8192, f16 KV cache, 4 layers on the GPU; context 4096, f16 KV cache, 4 layers on the GPU; "
        "context 4096, q8_0 KV cache, 4 layers on the GPU; context 4096, q8_0 KV cache, 3 layers on the GPU"
    )
