"""What quants are called, and what is known of a model before it is loaded."""

import struct
from pathlib import Path

import llama_cpp
import pytest

from ggufrun.chat.types import Price
from ggufrun.opening.loading import known
from ggufrun.store.resolve import resolve
from ggufrun.weights.header import read_header
from ggufrun.weights.quants import FILE_TYPES, quant_of
from tests.weights.gguf_bytes import STRING, UINT32, field, gguf, tensor, text, write

CARD = """
name = "tiny"
aliases = ["small-one"]
repo = "someone/Tiny-GGUF"
files = "Tiny-1B*.gguf"
licence = "MIT"
parameters = 1_000_000
context = 2048

[price]
prompt = 0.1
completion = 0.3
"""


def quantized(path: Path, file_type: int | None) -> Path:
    fields = [field("general.architecture", STRING, text("llama"))]
    if file_type is not None:
        fields.append(field("general.file_type", UINT32, struct.pack("<I", file_type)))
    tensors = [tensor("norm.weight", (32,), 0, 0), tensor("token_embd.weight", (32, 3), 2, 128)]
    return write(path, gguf(fields, tensors, data=128 + 64))


def test_the_names_are_llama_cpps() -> None:
    prefixes = ("LLAMA_FTYPE_MOSTLY_", "LLAMA_FTYPE_ALL_")
    theirs = {
        name.removeprefix(prefix): getattr(llama_cpp, name)
        for name in dir(llama_cpp)
        for prefix in prefixes
        if name.startswith(prefix)
    }
    assert {number: name for name, number in theirs.items()} == FILE_TYPES


@pytest.mark.parametrize(
    ("name", "file_type", "quant"),
    [
        ("Any.gguf", 15, "Q4_K_M"),
        ("Any.gguf", 1024 + 15, "Q4_K_M"),  # guessed by llama.cpp
        ("Any-Q8_0.gguf", 15, "Q4_K_M"),  # the header knows better
        ("Any-UD-Q4_K_XL-00001-of-00001.gguf", 15, "UD-Q4_K_XL"),  # no file type says that
        ("any.iq4_nl.gguf", None, "IQ4_NL"),
        ("Any-BF16.gguf", 999, "BF16"),
        ("Any-Q4all.gguf", None, "Q4_0"),  # what most of the weights are
        ("Qwen-Q8_model.gguf", 1, "F16"),
    ],
)
def test_a_quants_name(tmp_path: Path, name: str, file_type: int | None, quant: str) -> None:
    path = quantized(tmp_path / name, file_type)
    assert quant_of(path, read_header(path)) == quant


def test_a_users_card_gives_a_price_to_a_model(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tiny.toml").write_text(CARD)
    path = quantized(tmp_path / "Tiny-1B-Q4_K_M.gguf", 15)
    said = known(resolve(str(path), tmp_path))
    assert said == {
        "aliases": ("small-one",),
        "file": "Tiny-1B-Q4_K_M.gguf",
        "quant": "Q4_K_M",
        "price": Price(0.1, 0.3),
    }
    other = quantized(tmp_path / "Other-Q4_K_M.gguf", 15)
    assert known(resolve(str(other), tmp_path))["price"] is None


def test_the_price_of_a_call() -> None:
    assert Price(1.5, 7.5).usd(1_000_000, 2_000) == pytest.approx(1.515)
