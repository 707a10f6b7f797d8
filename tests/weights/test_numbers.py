"""Numbers in headers that no model has are refused, however they are written, and cost no memory."""

import os
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from ggufrun.errors import ModelFileError
from ggufrun.fit.shape import shape_of
from ggufrun.weights.header import read_header
from ggufrun.weights.numbers import each_layers, largest, layers_of, loaded_layers, number
from ggufrun.weights.split_set import read_set
from tests.weights import gguf_bytes as make

NAME = "brand-new"  # an architecture that nothing is known of
UINT64 = 10
BIG = 4_000_000


def with_numbers(path: Path, *fields: bytes) -> Path:
    start = make.field("general.architecture", make.STRING, make.text(NAME))
    weights = make.tensor("blk.0.ffn_up.weight", (32,), 0, 0)
    return make.write(path, make.gguf([start, *fields], [weights], data=128))


def uint32(key: str, value: int) -> bytes:
    return make.field(f"{NAME}.{key}", make.UINT32, struct.pack("<I", value))


def uint64(key: str, value: int) -> bytes:
    return make.field(f"{NAME}.{key}", UINT64, struct.pack("<Q", value))


def listed(key: str, kind: int, form: str, *values: float) -> bytes:
    return make.field(f"{NAME}.{key}", make.ARRAY, make.array(kind, len(values), struct.pack(form, *values)))


def with_a_huge_list(path: Path, key: str) -> Path:
    """A header that is mostly one list; the file is a hole there."""
    fields = [uint32("block_count", 2), uint32("attention.sliding_window", 8), listed(key, make.UINT32, "<1I", 7)]
    whole = with_numbers(path, *fields).read_bytes()
    at = whole.index(key.encode()) + len(key) + 4 + 4
    path.write_bytes(whole[:at] + struct.pack("<Q", BIG) + struct.pack("<2I", 7, 3))
    rest = whole[at + 12 :].rstrip(b"\0") + bytes(16)  # the tensor, padding apart
    with path.open("r+b") as file:
        file.seek(at + 8 + 4 * BIG)
        file.write(rest)
    os.truncate(path, path.stat().st_size + 4096)
    return path


@pytest.mark.parametrize("count", [0, 513, 400_000_000])
def test_as_many_layers_as_no_model_has(tmp_path: Path, count: int) -> None:
    path = with_numbers(tmp_path / "m.gguf", uint32("block_count", count))
    with pytest.raises(ModelFileError, match=f"it claims {count:,} layers"):
        layers_of(read_header(path))
    with pytest.raises(ModelFileError, match="layers"):  # before llama.cpp sees it, which would end the process
        read_set(path)


def test_layers_that_predict_ahead(tmp_path: Path) -> None:
    header = read_header(with_numbers(tmp_path / "m.gguf", uint32("block_count", 4), uint32("nextn_predict_layers", 1)))
    assert (layers_of(header), loaded_layers(header)) == (4, 3)
    path = with_numbers(tmp_path / "m.gguf", uint32("block_count", 4), uint32("nextn_predict_layers", 4))
    with pytest.raises(ModelFileError, match="4 of its 4 layers only predict ahead"):
        read_set(path)


def test_a_file_without_layers_is_no_model_and_is_read(tmp_path: Path) -> None:
    assert len(read_set(with_numbers(tmp_path / "lora.gguf"))) == 1


def test_one_for_all_layers_or_a_list(tmp_path: Path) -> None:
    path = with_numbers(
        tmp_path / "m.gguf",
        uint32("block_count", 3),
        uint32("one", 7),
        listed("list", make.INT32, "<4i", 1, 5, 2, 9),
        listed("short", make.UINT32, "<2I", 8, 4),
    )
    header = read_header(path)
    assert [each_layers(header, key, 3) for key in ("one", "list", "short", "none")] == [
        [7, 7, 7], [1, 5, 2], [8, 4, 0], None,
    ]  # fmt: skip
    assert [largest(header, key) for key in ("one", "list", "short", "none")] == [7, 5, 8, 0]


@pytest.mark.parametrize(
    "field",
    [
        uint64("attention.head_count_kv", 1 << 63),
        uint64("attention.head_count", 1 << 31),
        make.field(f"{NAME}.attention.head_count_kv", make.INT32, struct.pack("<i", -5)),
        uint64("attention.key_length", 1 << 63),
        uint64("attention.sliding_window", 1 << 40),
        uint64("expert_count", 1 << 40),
        uint64("nextn_predict_layers", 1 << 40),
        uint64("ssm.state_size", 1 << 60),
        uint64("embedding_length", (1 << 64) - 1),
        listed("attention.head_count_kv", make.INT32, "<2i", 1, -1),
        listed("feed_forward_length", UINT64, "<2Q", 1, 1 << 63),
        listed("attention.head_count", make.FLOAT32, "<2f", 1, float("nan")),
    ],
)
def test_numbers_that_no_model_has(tmp_path: Path, field: bytes) -> None:
    header = read_header(with_numbers(tmp_path / "m.gguf", uint32("block_count", 2), field))
    with pytest.raises(ModelFileError, match=r"which no model has|not whole numbers"):
        shape_of([header])


@pytest.mark.parametrize("key", ["attention.head_count_kv", "feed_forward_length", "attention.sliding_window_pattern"])
def test_no_more_of_a_list_is_read_than_there_are_layers(tmp_path: Path, key: str) -> None:
    path = with_a_huge_list(tmp_path / "m.gguf", key)
    header = read_header(path)
    assert header.length(f"{NAME}.{key}") == BIG
    shape_of([header])  # what is imported for it is not counted
    tracemalloc.start()
    try:
        shape_of([header])
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ask", [lambda header: number(header, "odd"), lambda header: largest(header, "odd")])
def test_what_is_no_number_is_none(tmp_path: Path, ask: Callable[..., int]) -> None:
    odd = make.field(f"{NAME}.odd", make.STRING, make.text("four"))
    assert ask(read_header(with_numbers(tmp_path / "m.gguf", uint32("block_count", 2), odd))) == 0
