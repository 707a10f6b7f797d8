"""Little models that quantizers take (rows of 256 elements), matrices for them, and the ladders made of them"""

import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter

from ggufrun.quantizing.kinds import kinds_of
from ggufrun.quantizing.ladder import Rung, Source
from ggufrun.quantizing.making import Wanted, make, plan, stem_of
from ggufrun.quantizing.process import Quantizer
from ggufrun.weights.header import read_header
from ggufrun.weights.imatrix import Imatrix
from ggufrun.weights.split_set import read_set
from tests.tiny_models import add_little_vocabulary
from tests.tiny_weights import Shape, transformer

NEEDY = {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "IQ3_XS", "Q2_K_S"}  # a matrix
WIDE = Shape(dim=256, layers=2, heads=4, kv_heads=2, head_dim=64, feed_forward=512, context=2048)


def write_wide(path: Path, *, tensors_a_file: int = 0, layers: int = WIDE.layers) -> Path:
    """An F16 llama with random weights; of several files the first one's path is returned."""
    writer = GGUFWriter(path, "llama", split_max_tensors=tensors_a_file)
    writer.add_type("model")
    writer.add_name("wide-llama-random")
    transformer(writer, replace(WIDE, layers=layers), add_little_vocabulary(writer), seed=11)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    files: list[Path] = writer.format_shard_names(path)
    return files[0]


def wanted(path: Path, kinds: str, folder: Path, matrix: Imatrix | None = None) -> Wanted:
    return Wanted(Source(read_set(path), stem_of(path)), kinds_of(kinds), folder, matrix, threads=1)


def made(what: Wanted) -> list[Rung]:
    """All of it, by one process."""
    with Quantizer() as quantizer:
        return [make(what, rung, quantizer, lambda _: None) for rung in plan(what, quantizer)]


def matrices(path: Path) -> dict[str, np.ndarray]:
    """Of each matrix of the model as many importances as it has columns, some of them a thousand times the others."""
    random = np.random.default_rng(3)
    return {
        tensor.name: (10 ** random.uniform(-2, 1, tensor.shape[0])).astype(np.float32)
        for tensor in read_header(path).tensors
        if len(tensor.shape) == 2 and tensor.name != "token_embd.weight"
    }


def write_imatrix(path: Path, entries: Mapping[str, np.ndarray], count: int = 512) -> Path:
    """As llama-imatrix writes them now: sums of squares, and how many there were."""
    writer = GGUFWriter(path, "llama")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["/somewhere/calibration.txt"])
    writer.add_uint32("imatrix.chunk_count", 7)
    writer.add_uint32("imatrix.chunk_size", 512)
    for name, values in entries.items():
        writer.add_tensor(f"{name}.in_sum2", (values * count)[None, :].astype(np.float32))
        writer.add_tensor(f"{name}.counts", np.array([[count]], np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_dat(path: Path, entries: Mapping[str, np.ndarray], calls: int = 4) -> Path:
    """As it wrote them before: for each tensor its name, the calls, and values that are multiplied by them."""
    parts: list[Any] = [struct.pack("<i", len(entries))]
    for name, values in entries.items():
        raw = name.encode()
        parts += [struct.pack("<i", len(raw)), raw, struct.pack("<ii", calls, values.size)]
        parts.append((values * calls).astype("<f4").tobytes())
    dataset = b"/somewhere/calibration.txt"
    parts += [struct.pack("<ii", 7, len(dataset)), dataset]
    path.write_bytes(b"".join(parts))
    return path
