"""Writes a small GGUF of random weights and no vocabulary, for measuring where there is no other model."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

_DIM, _LAYERS, _HEADS, _FEED_FORWARD, _VOCABULARY = 512, 8, 8, 1536, 4096
_F32, _F16 = 0, 1  # ggml's types
_ALIGNMENT: Final = 32
_STRING, _UINT32, _FLOAT32 = 8, 4, 6  # GGUF's value types


def write_trial_model(path: Path) -> None:
    """A llama of 60 MB: enough to be seen in a GPU's memory, and written in a moment."""
    tensors = list(_tensors())
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(_METADATA))]
    head += [_text(key) + value for key, value in _METADATA.items()]
    offset = 0
    for name, shape, kind in tensors:
        head.append(_text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset))
        offset += _padded(_size(shape, kind))
    start = b"".join(head)
    random = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(start + bytes(_padded(len(start)) - len(start)))
        for _, shape, kind in tensors:
            values = random.standard_normal(shape[::-1], dtype=np.float32) * shape[0] ** -0.5
            data = (values if kind == _F32 else values.astype(np.float16)).tobytes()
            file.write(data + bytes(_padded(len(data)) - len(data)))


def _tensors() -> Iterator[tuple[str, tuple[int, ...], int]]:
    """Name, ggml's shape and type."""
    yield "token_embd.weight", (_DIM, _VOCABULARY), _F16
    yield "output_norm.weight", (_DIM,), _F32
    for layer in range(_LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"blk.{layer}.{name}.weight", (_DIM, _DIM), _F16
        for name in ("ffn_gate", "ffn_up"):
            yield f"blk.{layer}.{name}.weight", (_DIM, _FEED_FORWARD), _F16
        yield f"blk.{layer}.ffn_down.weight", (_FEED_FORWARD, _DIM), _F16
        for name in ("attn_norm", "ffn_norm"):
            yield f"blk.{layer}.{name}.weight", (_DIM,), _F32


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def _number(value: int) -> bytes:
    return struct.pack("<II", _UINT32, value)


def _size(shape: tuple[int, ...], kind: int) -> int:
    return int(np.prod(shape)) * (4 if kind == _F32 else 2)


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


_METADATA: Final = {
    "general.architecture": struct.pack("<I", _STRING) + _text("llama"),
    "llama.context_length": _number(2048),
    "llama.embedding_length": _number(_DIM),
    "llama.block_count": _number(_LAYERS),
    "llama.feed_forward_length": _number(_FEED_FORWARD),
    "llama.attention.head_count": _number(_HEADS),
    "llama.attention.layer_norm_rms_epsilon": struct.pack("<If", _FLOAT32, 1e-5),
    "llama.vocab_size": _number(_VOCABULARY),
    "tokenizer.ggml.model": struct.pack("<I", _STRING) + _text("no_vocab"),
}
