"""Predicted speed and estimated compute buffers, on numbers that can be worked out by hand."""

from dataclasses import replace

import pytest

from ggufrun.fit.attention import Kept
from ggufrun.fit.cache import CacheSize, layer_bytes, layer_read, sequences_of
from ggufrun.fit.compute import Work, compute_bytes
from ggufrun.fit.layout import Layout
from ggufrun.fit.placement import Placement, Use
from ggufrun.fit.shape import Shape, shape_of
from ggufrun.fit.speed import tokens_per_second
from ggufrun.settings import EngineSettings
from tests.fit.planned import header_of, machine_of

MIB = 1 << 20
SIZE = CacheSize(16_384, "f16", 512, 32)


def shape(kind: str) -> Shape:
    return shape_of([header_of(kind)])


def test_devices_work_one_after_the_other() -> None:
    machine = machine_of(24, ram_speed=50, speeds=(1000,))
    uses = [Use(read=10e9), Use(read=5e9)]
    whole, split = Layout(SIZE, True, (41,)), Layout(SIZE, True, (20,))
    assert tokens_per_second([uses[0], Use()], whole, machine, 41) == pytest.approx(100)
    assert tokens_per_second(uses, split, machine, 41) == pytest.approx(1 / (0.01 + 0.1 + 20e-6))
    lowered = Layout(SIZE, True, (41,), 10, "ffn")
    assert tokens_per_second(uses, lowered, machine, 41) == pytest.approx(1 / (0.01 + 0.1 + 20 * 20e-6))


def test_a_token_reads_all_layers_and_the_cache_of_a_quarter_of_the_context() -> None:
    model = shape("small-24b")
    use = Placement(model, []).uses(Layout(SIZE, True))[-1]
    weights = sum(weight.ram for weight in model.weights if weight.name != "token_embd.weight")
    assert use.read == pytest.approx(weights + 40 * 2 * 8 * 128 * 2 * 16_384 / 4)


def test_a_window_is_kept_for_each_sequence_and_read_once() -> None:
    layer = Kept(keys=1024, values=1024, windowed=True)
    assert layer_bytes(layer, 1024, SIZE) == min(16_384, 1024 * 32 + 512) * 4096
    few = replace(SIZE, sequences=2)
    assert layer_bytes(layer, 1024, few) == 2560 * 4096  # 2 windows and a step, in cells of 256
    assert layer_read(layer, 1024, SIZE) == 1024 * 4096
    assert layer_read(replace(layer, windowed=False), 1024, SIZE) == 4096 * 4096


def test_sequences_are_those_of_the_engine() -> None:
    assert sequences_of(shape("dense"), EngineSettings()) == 32
    assert sequences_of(shape("dense"), EngineSettings(parallel=128, cached_sequences=1000)) == 256
    recurrent = replace(shape("dense"), kept=(Kept(state=100),))
    assert sequences_of(recurrent, EngineSettings(parallel=3)) == 6


def test_the_widest_moment_is_usually_the_logits() -> None:
    """Of Mistral Small: 512 rows of 131,072 logits and of two rows of 5,120, in 32 bits."""
    layout = Layout(SIZE, True, (41,))
    logits = compute_bytes(shape("small-24b"), layout, Work(layers=True, output=True))
    assert 276 * MIB < logits < 276 * MIB * 1.2
    assert compute_bytes(shape("small-24b"), layout, Work(layers=True, output=False)) < logits


def test_without_flash_attention_the_context_counts() -> None:
    model, work = shape("small-24b"), Work(layers=True, output=True)
    assert compute_bytes(model, Layout(SIZE, False, (41,)), work) > 32 * 512 * 16_384 * 4
    long = Layout(replace(SIZE, context=131_072), True, (41,))
    assert compute_bytes(model, long, work) < 600 * MIB


def test_weights_that_come_over_for_prompts_need_room_on_the_gpu() -> None:
    """With all layers on the GPU none come; else room is needed for the largest that it computes with."""
    model = shape("small-4")
    placement = Placement(model, ["CUDA0", "CUDA1"])
    experts = {weight.name.split(".")[2]: weight.ram for weight in model.weights if weight.role == "experts"}
    largest = experts["ffn_up_exps"]
    assert largest < experts["ffn_down_exps"]  # which CUDA refuses: see `fit.refused`
    assert Placement(model, ["MTL0"]).work(Layout(SIZE, True, (20,)), 0).streamed == experts["ffn_down_exps"]
    assert placement.work(Layout(SIZE, True, (37, 0)), 0).streamed == 0
    for layout in (Layout(SIZE, True, (20, 0)), Layout(SIZE, True, (37, 0), 5, "experts")):
        assert placement.work(layout, 0).streamed == largest
        whole = compute_bytes(model, layout, Work(True, True))
        assert compute_bytes(model, layout, placement.work(layout, 0)) > max(whole, largest)
    pinned = Placement(model, ["CUDA0"], (r"ffn_.*_exps=CPU",))
    assert pinned.work(Layout(SIZE, True, (37,)), 0).streamed == largest


def test_several_gpus_work_on_several_steps_at_once() -> None:
    placement = Placement(shape("small-24b"), ["CUDA0", "CUDA1"])
    assert placement.work(Layout(SIZE, True, (20, 21)), 0).pipelined
    for layout in (Layout(SIZE, True, (20, 20)), Layout(SIZE, True, (41, 0)), Layout(SIZE, True, (20, 21), 3, "ffn")):
        assert not placement.work(layout, 0).pipelined
    layout = Layout(SIZE, True, (20, 21))
    plain, pipelined = (compute_bytes(placement.shape, layout, Work(True, True, 0, each)) for each in (False, True))
    assert pipelined > plain


def test_only_the_last_gpu_computes_logits() -> None:
    placement = Placement(shape("small-24b"), ["CUDA0", "CUDA1"])
    first, second, _ = placement.uses(Layout(SIZE, True, (20, 21)))
    assert first.compute < second.compute
    _, idle, ram = placement.uses(Layout(SIZE, True, (41, 0)))
    assert idle == Use() and ram.compute < 100 * MIB
