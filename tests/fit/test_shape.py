"""What a header says of a model's weights: sizes, roles, and what one token reads."""

from dataclasses import replace

import pytest

from ggufrun.errors import ModelFileError
from ggufrun.fit.placement import Placement
from ggufrun.fit.shape import Weight, shape_of
from ggufrun.weights.fields import TensorInfo
from tests.fit.planned import header_of
from tests.shapes import dense

Q4_K, Q6_K, Q8_0, F32 = 12, 14, 8, 0


def weights_of(kind: str) -> dict[str, Weight]:
    return {weight.name: weight for weight in shape_of([header_of(kind)]).weights}


def test_all_bytes_are_counted_once() -> None:
    for kind in ("dense", "experts", "sliding", "medium-3.5"):
        header = header_of(kind)
        shape = shape_of([header])
        assert shape.weight_bytes == sum(-(-(tensor.size or 0) // 32) * 32 for tensor in header.tensors)
        assert shape.layers == (header.integer(f"{header.architecture}.block_count") or 0) + 1


def test_roles_and_layers() -> None:
    weights = weights_of("experts")
    roles = {name.removeprefix("blk.2."): weight.role for name, weight in weights.items() if name.startswith("blk.2.")}
    assert {name for name, role in roles.items() if role == "experts"} == {
        f"ffn_{part}_exps.weight" for part in ("gate", "up", "down")
    }
    assert "ffn" not in roles.values()  # shared experts are always read: they stay with their layer
    assert weights["token_embd.weight"].layer is None and weights["output.weight"].layer == 4
    assert weights["blk.2.attn_output.weight"].layer == 2
    assert {weight.role for name, weight in weights_of("dense").items() if ".ffn_down" in name} == {"ffn"}


def test_a_token_reads_the_experts_that_it_uses_and_one_row_of_the_embedding() -> None:
    weights = weights_of("experts")
    experts = weights["blk.0.ffn_up_exps.weight"]
    assert experts.read == experts.ram * 2 / 16
    assert weights["token_embd.weight"].read == 0
    assert weights["blk.0.attn_output.weight"].read == weights["blk.0.attn_output.weight"].ram


def test_a_tied_output_is_a_second_copy_on_a_gpu_and_none_in_ram() -> None:
    shape = shape_of([header_of("sliding")])
    output = Placement(shape, ["CUDA0"]).layers[-1].rest
    embedding = next(weight for weight in shape.weights if weight.name == "token_embd.weight")
    norm = next(weight for weight in shape.weights if weight.name == "output_norm.weight")
    assert shape.tied and output.gpu == embedding.gpu + norm.gpu
    assert output.ram == norm.ram and output.read == embedding.ram + norm.ram


def test_cuda_pads_the_last_row_of_a_quantized_tensor() -> None:
    header = replace(
        header_of(dense(layers=1)),
        tensors=(
            TensorInfo("blk.0.ffn_up.weight", (768, 10), Q6_K, 0),  # 256 elements are missing to 512
            TensorInfo("blk.0.ffn_down.weight", (1024, 10), Q8_0, 6304),
            TensorInfo("blk.0.attn_norm.weight", (100,), F32, 17_184),
        ),
    )
    up, down, norm = shape_of([header]).weights
    assert (up.ram, up.gpu) == (6304, 6528)  # 6300 and 210 more, in units of 32 and 128
    assert (down.ram, down.gpu) == (10_880, 10_880)
    assert (norm.ram, norm.gpu) == (416, 512)


def test_a_type_that_is_not_known_ends_where_the_next_tensor_begins() -> None:
    header = header_of(dense(layers=1))
    tensors = [
        replace(tensor, type=99) if tensor.name == "blk.0.ffn_up.weight" else tensor for tensor in header.tensors
    ]
    assert shape_of([replace(header, tensors=tuple(tensors))]).weight_bytes == shape_of([header]).weight_bytes


def test_layers_that_only_predict_ahead_are_not_loaded() -> None:
    whole, ahead = (shape_of([header_of("dense", **more)]) for more in ({}, {"nextn_predict_layers": 1}))
    left = {weight.name for weight in whole.weights} - {weight.name for weight in ahead.weights}
    assert left and all(name.startswith("blk.5.") for name in left)
    assert ahead.layers == whole.layers  # --gpu-layers counts them
    assert ahead.kept[5].keys == 0 and ahead.kept[4].keys == 2 * 64


def test_a_split_set_is_one_model() -> None:
    header = header_of("dense")
    first, second = (replace(header, tensors=part) for part in (header.tensors[:9], header.tensors[9:]))
    assert shape_of([first, replace(second, metadata={})]) == shape_of([header])


@pytest.mark.parametrize("count", [0, -3, 513, 1 << 31, 1 << 62])
def test_a_header_cannot_make_us_count_for_ever(count: int) -> None:
    header = header_of("dense")
    with pytest.raises(ModelFileError, match="layers"):
        shape_of([replace(header, metadata={**header.metadata, "mistral3.block_count": count})])


@pytest.mark.parametrize("more, known", [({}, True), ({"attention.sliding_window": 1024}, False)])
def test_an_architecture_whose_windows_are_not_known_is_counted_in_full(more: dict[str, int], known: bool) -> None:
    header = header_of("dense", **more)
    keys = {key.replace("mistral3.", "brand-new."): value for key, value in header.metadata.items()}
    shape = shape_of([replace(header, metadata=keys | {"general.architecture": "brand-new"})])
    assert shape.known is known and not any(kept.windowed for kept in shape.kept)
