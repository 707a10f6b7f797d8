"""A small GGUF made by hand, byte for byte, so that tests can say things that a proper writer would not."""

import struct
from collections.abc import Sequence
from pathlib import Path

UINT32, FLOAT32, BOOL, STRING, ARRAY, UINT16, INT32 = 4, 6, 7, 8, 9, 2, 5


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def field(key: str | bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def array(kind: int, count: int, values: bytes) -> bytes:
    return struct.pack("<IQ", kind, count) + values


def tensor(name: str, shape: Sequence[int], kind: int, offset: int) -> bytes:
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def gguf(
    fields: Sequence[bytes],
    tensors: Sequence[bytes] = (),
    data: int = 0,
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """A whole file; `counts` (tensors, keys) may lie, `data` bytes of tensor data follow the padding."""
    tensor_count, key_count = counts or (len(tensors), len(fields))
    head = b"GGUF" + struct.pack("<IQQ", version, tensor_count, key_count) + b"".join((*fields, *tensors))
    return head + bytes(-len(head) % 32) + bytes(data)


def small(version: int = 3) -> bytes:
    """Every kind of thing that a header holds, in under 600 bytes, and two tensors."""
    return gguf(
        [
            field("general.architecture", STRING, text("llama")),
            field("llama.context_length", UINT32, struct.pack("<I", 4096)),
            field("llama.rope.freq_base", FLOAT32, struct.pack("<f", 10000.0)),
            field("tokenizer.ggml.add_bos_token", BOOL, b"\1"),
            field("tokenizer.ggml.tokens", ARRAY, array(STRING, 3, text("a") + text("bc") + text(""))),
            field("tokenizer.ggml.token_type", ARRAY, array(INT32, 3, struct.pack("<3i", 1, 3, -1))),
            field("flags", ARRAY, array(BOOL, 2, b"\1\0")),
            field("broken", ARRAY, array(STRING, 1, text(b"\xff!"))),
        ],
        [tensor("token_embd.weight", (32, 3), 2, 0), tensor("output_norm.weight", (32,), 0, 64)],
        data=64 + 128,
        version=version,
    )


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
