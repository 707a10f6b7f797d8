"""A tiny random Pixtral beside the tiny Mistral 3: an mmproj GGUF with the real names and keys"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from tests import tiny_weights
from tests.tiny_weights import Shape, Weights

VERSION = 15  # of the text model's tokenizer
IMG_BREAK = 12  # the token
SEED = 7


@dataclass(frozen=True)
class VisionShape:
    dim: int = 64
    layers: int = 2
    heads: int = 4
    feed_forward: int = 128
    patch: int = 14
    merge: int = 2
    image: int = 1540  # pixels of the longest side


def mmproj(path: Path, text: int = Shape.dim, shape: VisionShape | None = None) -> None:
    """A Pixtral for a text model with embeddings of `text` numbers, like that of `mistral3(VERSION)`."""
    shape = shape or VisionShape()
    writer = GGUFWriter(path, "clip")
    writer.add_type("mmproj")
    writer.add_name("tiny-pixtral-random")
    _add_keys(writer, shape, text)
    _add_tensors(writer, shape, text)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_keys(writer: GGUFWriter, shape: VisionShape, text: int) -> None:
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("pixtral")
    writer.add_vision_projection_dim(text)
    writer.add_vision_image_size(shape.image)
    writer.add_vision_patch_size(shape.patch)
    writer.add_vision_embedding_length(shape.dim)
    writer.add_vision_feed_forward_length(shape.feed_forward)
    writer.add_vision_block_count(shape.layers)
    writer.add_vision_head_count(shape.heads)
    writer.add_vision_attention_layernorm_eps(1e-5)
    writer.add_vision_image_mean([0.48145466, 0.4578275, 0.40821073])
    writer.add_vision_image_std([0.26862954, 0.26130258, 0.27577711])
    writer.add_vision_use_silu(True)
    writer.add_vision_spatial_merge_size(shape.merge)


def _add_tensors(writer: GGUFWriter, shape: VisionShape, text: int) -> None:
    weights, dim = Weights(writer, SEED), shape.dim

    def norm(name: str) -> None:
        weights.constant(f"{name}.weight", np.linspace(0.8, 1.2, dim))

    pixels = np.random.default_rng(SEED).standard_normal((dim, 3, shape.patch, shape.patch), dtype=np.float32)
    writer.add_tensor("v.patch_embd.weight", (pixels / shape.patch).astype(np.float16))
    norm("v.pre_ln")
    for layer in (f"v.blk.{i}" for i in range(shape.layers)):
        norm(f"{layer}.ln1")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            weights.matrix(f"{layer}.{name}.weight", dim, dim, gain=2.0)
        norm(f"{layer}.ln2")
        weights.matrix(f"{layer}.ffn_gate.weight", shape.feed_forward, dim)
        weights.matrix(f"{layer}.ffn_up.weight", shape.feed_forward, dim)
        weights.matrix(f"{layer}.ffn_down.weight", dim, shape.feed_forward)
    norm("mm.input_norm")
    weights.matrix("mm.patch_merger.weight", dim, dim * shape.merge**2)
    weights.matrix("mm.1.weight", text, dim, gain=2.0)
    weights.matrix("mm.2.weight", text, text, gain=2.0)  # rows about as long as the text model's embeddings
    weights.constant("v.token_embd.img_break", text_embedding(IMG_BREAK, text))


def text_embedding(token: int, dim: int) -> np.ndarray:
    """The row of `token` in the text model's token_embd: the first numbers that its weights are made of."""
    rows = np.random.default_rng(VERSION).standard_normal((token + 1, dim), dtype=np.float32)
    row: np.ndarray = rows[token].astype(np.float16)
    return row


def write_folder(folder: Path, text_model: Callable[[int, Path], None]) -> None:
    """`model.gguf` and `mmproj.gguf` in `folder`. `text_model(version, path)` writes the former."""
    folder.mkdir(parents=True, exist_ok=True)
    text_model(VERSION, folder / "model.gguf")
    mmproj(folder / "mmproj.gguf")


def cached_folder(folder: Path, text_model: Path) -> Path:
    """The same two files in a folder under `folder`, `text_model` copied; kept like the other tiny models."""
    scripts = (Path(__file__), Path(tiny_weights.__file__))
    script = sha256(b"".join(each.read_bytes() for each in scripts)).hexdigest()[:12]
    made = folder / f"mistral3-vision-{script}"
    made.mkdir(parents=True, exist_ok=True)
    for name, write in (("model.gguf", partial(shutil.copyfile, text_model)), ("mmproj.gguf", mmproj)):
        if not (made / name).is_file():
            unfinished = made / f"{name}.{os.getpid()}.tmp"
            write(unfinished)
            unfinished.replace(made / name)
    return made
