"""Files for pulls: real GGUFs in a few bytes, made as large as a test wants them with bytes that repeat nowhere."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final
from unittest.mock import patch

import numpy as np
from gguf import GGUFWriter

from tests import tiny_models
from tests.tiny_weights import Shape
from tests.weights.gguf_bytes import small

MIB: Final = 1 << 20


@cache
def noise(seed: str, size: int) -> bytes:
    """Bytes in which a piece at a wrong place, or a hole, is always seen."""
    return hashlib.shake_128(seed.encode()).digest(size)


def weights(seed: str, size: int) -> bytes:
    """A file that starts as a GGUF and that nothing here loads."""
    head = small()
    return head + noise(seed, size - len(head))


def padded(path: Path, size: int, seed: str) -> bytes:
    """A model that loads, with bytes behind it that no reader asks for."""
    data = path.read_bytes()
    return data + noise(seed, size - len(data))


def split_model(folder: Path) -> dict[str, bytes]:
    """A model that loads, in three files, by their names."""
    folder.mkdir(parents=True, exist_ok=True)

    def writer(path: Path, architecture: str, name: str) -> GGUFWriter:
        made = GGUFWriter(path, architecture, split_max_tensors=8)
        made.add_type("model")
        made.add_name(name)
        return made

    with patch.object(tiny_models, "_writer", writer):
        tiny_models.llama_tiny(folder / "tiny-Q4_K_M.gguf")
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.gguf"))}


def projector(path: Path, width: int = Shape.dim) -> bytes:
    """An mmproj file with a header that makes sense, for a model of this width. Nothing loads it."""
    writer = GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "pixtral")
    for key, value in (
        ("image_size", 64), ("patch_size", 16), ("embedding_length", 32), ("feed_forward_length", 64),
        ("block_count", 1), ("attention.head_count", 2), ("projection_dim", width),
    ):  # fmt: skip
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_tensor("v.patch_embd.weight", np.ones((32, 3, 16, 16), dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()
