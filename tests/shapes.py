"""Writes GGUF files of any size as sparse files: a true header, and a hole where the weights would be.

`python -m tests.shapes medium-3.5 OUT.gguf [--tekken] [--shards N]` takes some KB of disk for a model of 70 GB.
llama.cpp loads the small ones (all weights are zero), and lays out any of them without allocating.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from gguf import GGUFValueType, GGUFWriter
from gguf.constants import GGML_QUANT_SIZES
from gguf.constants import GGMLQuantizationType as Type

from ggufrun.weights.header import read_header
from tests import tiny_models

Value = bool | int | float | str
Metadata = Mapping[str, Value]  # keys without the architecture, which stands before them in the file

LITTLE, TEKKEN = 512, 131_072  # tokens
ALIGNMENT: Final = 32


@dataclass(frozen=True)
class Tensor:
    """`shape` in ggml's order, fastest dimension first."""

    name: str
    shape: tuple[int, ...]
    type: Type = Type.Q4_K


@dataclass(frozen=True)
class ModelShape:
    architecture: str
    metadata: Metadata
    layers: Callable[[int], Iterator[Tensor]]  # the tensors of a layer, by its number
    tied: bool = False  # no output matrix of its own

    @property
    def dim(self) -> int:
        return int(self.metadata["embedding_length"])

    def tensors(self, vocabulary: int) -> Iterator[Tensor]:
        yield Tensor("token_embd.weight", (self.dim, vocabulary), Type.Q6_K if self.tied else Type.Q4_K)
        for number in range(int(self.metadata["block_count"])):
            for tensor in self.layers(number):
                yield Tensor(f"blk.{number}.{tensor.name}.weight", tensor.shape, tensor.type)
        yield _norm("output_norm.weight", self.dim)
        if not self.tied:
            yield Tensor("output.weight", (self.dim, vocabulary), Type.Q6_K)


def dense(
    layers: int = 6, dim: int = 512, heads: int = 8, kv_heads: int = 2, head: int = 64, feed_forward: int = 1536
) -> ModelShape:
    """As Ministral 3, Mistral Small and Medium are."""

    def layer(_: int) -> Iterator[Tensor]:
        yield from _attention(dim, heads, kv_heads, head)
        yield from _feed_forward(dim, feed_forward)

    metadata = _common(layers, dim, feed_forward, 262_144) | {
        "attention.head_count": heads,
        "attention.head_count_kv": kv_heads,
        "attention.key_length": head,
        "attention.value_length": head,
        "rope.dimension_count": head,
        **_YARN,
        "attention.temperature_scale": 0.1,
    }
    return ModelShape("mistral3", metadata, layer)


def experts(
    layers: int = 4, dim: int = 512, heads: int = 8, feed_forward: int = 256, count: int = 16, used: int = 2
) -> ModelShape:
    """As Mistral Small 4 is: attention over a compressed cache (MLA), and a few of many experts, one of them shared."""
    rank, rope, head, values, queries = 256, 64, 128, 128, 512

    def layer(_: int) -> Iterator[Tensor]:
        yield _norm("attn_norm", dim)
        yield Tensor("attn_q_a", (dim, queries))
        yield _norm("attn_q_a_norm", queries)
        yield Tensor("attn_q_b", (queries, heads * head))
        yield Tensor("attn_kv_a_mqa", (dim, rank + rope))
        yield _norm("attn_kv_a_norm", rank)
        yield Tensor("attn_k_b", (head - rope, rank, heads), Type.Q8_0)
        yield Tensor("attn_v_b", (rank, values, heads))
        yield Tensor("attn_output", (heads * values, dim))
        yield _norm("ffn_norm", dim)
        yield Tensor("ffn_gate_inp", (dim, count), Type.F32)
        yield Tensor("ffn_gate_exps", (dim, feed_forward, count))
        yield Tensor("ffn_up_exps", (dim, feed_forward, count))
        yield Tensor("ffn_down_exps", (feed_forward, dim, count), Type.Q6_K)
        yield Tensor("ffn_gate_shexp", (dim, feed_forward), Type.Q8_0)
        yield Tensor("ffn_up_shexp", (dim, feed_forward), Type.Q8_0)
        yield Tensor("ffn_down_shexp", (feed_forward, dim), Type.Q8_0)

    metadata = _common(layers, dim, feed_forward * used, 1_048_576) | {
        "attention.head_count": heads,
        "attention.head_count_kv": 1,
        "attention.q_lora_rank": queries,
        "attention.kv_lora_rank": rank,
        "attention.key_length": rank + rope,
        "attention.value_length": rank,
        "attention.key_length_mla": head,
        "attention.value_length_mla": values,
        "rope.dimension_count": rope,
        **_YARN,
        "expert_count": count,
        "expert_used_count": used,
        "expert_shared_count": 1,
        "expert_feed_forward_length": feed_forward,
        "expert_weights_norm": True,
    }
    return ModelShape("mistral4", metadata, layer)


def sliding(layers: int = 6, dim: int = 512, heads: int = 4, head: int = 128, feed_forward: int = 2048) -> ModelShape:
    """As Gemma 3 is: five layers of six look back over a window, and the output is the embedding again."""

    def layer(_: int) -> Iterator[Tensor]:
        yield from _attention(dim, heads, 1, head)
        yield _norm("attn_q_norm", head)
        yield _norm("attn_k_norm", head)
        yield _norm("post_attention_norm", dim)
        yield from _feed_forward(dim, feed_forward)
        yield _norm("post_ffw_norm", dim)

    metadata = _common(layers, dim, feed_forward, 32_768) | {
        "attention.head_count": heads,
        "attention.head_count_kv": 1,
        "attention.key_length": head,
        "attention.value_length": head,
        "attention.sliding_window": 512,
        "rope.dimension_count": head,
    }
    return ModelShape("gemma3", metadata, layer, tied=True)


_YARN: Final[Metadata] = {
    "rope.scaling.type": "yarn",
    "rope.scaling.factor": 64.0,
    "rope.scaling.original_context_length": 4096,
    "rope.scaling.yarn_beta_fast": 4.0,
    "rope.scaling.yarn_beta_slow": 1.0,
    "rope.scaling.yarn_log_multiplier": 1.0,
}

KINDS: Final[Mapping[str, Callable[[], ModelShape]]] = {
    "dense": dense,
    "experts": experts,
    "sliding": sliding,
    # As large as real ones: only to be laid out.
    "ministral-3b": partial(dense, 26, 3072, 32, 8, 128, 9216),
    "ministral-14b": partial(dense, 40, 5120, 32, 8, 128, 16_384),
    "small-24b": partial(dense, 40, 5120, 32, 8, 128, 32_768),
    "medium-3.5": partial(dense, 88, 12_288, 96, 8, 128, 28_672),
    "small-4": partial(experts, 36, 4096, 32, 2048, 128, 4),
}
SMALL: Final = ("dense", "experts", "sliding")  # those that any machine can really load


def write(kind: str, path: Path, *, tekken: bool = False, shards: int = 1) -> Path:
    """Write a model of this kind; returns its first file, which has another name than `path` if there are several."""
    return write_shape(KINDS[kind](), f"shape-{kind}", path, tekken=tekken, shards=shards)


def write_shape(shape: ModelShape, name: str, path: Path, *, tekken: bool = False, shards: int = 1) -> Path:
    tensors = list(shape.tensors(TEKKEN if tekken else LITTLE))
    writer = GGUFWriter(path, shape.architecture, split_max_tensors=-(-len(tensors) // shards) if shards > 1 else 0)
    writer.add_type("model")
    writer.add_name(name)
    _ = tiny_models.add_tekken(writer, 13) if tekken else tiny_models.add_little_vocabulary(writer)
    for key, value in shape.metadata.items():
        writer.add_key_value(f"{shape.architecture}.{key}", value, _VALUE_TYPES[type(value)])
    for tensor in tensors:
        block, size = GGML_QUANT_SIZES[tensor.type]
        count = int(np.prod(tensor.shape, dtype=object))
        # not through numpy's types, which have no quants; the writer wants its own order of dimensions
        writer.add_tensor_info(
            tensor.name, tensor.shape[::-1], np.dtype(np.float32), count // block * size, raw_dtype=tensor.type
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    files = writer.format_shard_names(path)
    for file, infos in zip(files, writer.tensors, strict=True):
        weights = sum(_padded(info.nbytes) for info in infos.values())
        os.truncate(file, _padded(file.stat().st_size) + weights)
    return files[0]


def sparse_copy(path: Path, target: Path) -> Path:
    """A file that has `path`'s header and size, and no weights: as a header that was fetched alone is laid out."""
    header = read_header(path)
    with path.open("rb") as source, target.open("wb") as copy:
        copy.write(source.read(header.data_offset))
        copy.truncate(header.file_size)
    return target


def cached(kind: str, folder: Path, *, tekken: bool = False) -> Path:
    """The model of this kind in `folder`, written first where this script's present version has not done so."""
    scripts = (Path(__file__), Path(tiny_models.__file__))
    script = sha256(b"".join(each.read_bytes() for each in scripts)).hexdigest()[:12]
    path = folder / f"shape-{kind}{'-tekken' * tekken}-{script}.gguf"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write(kind, unfinished := path.with_suffix(f".{os.getpid()}.tmp"), tekken=tekken)
        unfinished.replace(path)
    return path


_VALUE_TYPES: Final = {
    bool: GGUFValueType.BOOL,
    int: GGUFValueType.UINT32,
    float: GGUFValueType.FLOAT32,
    str: GGUFValueType.STRING,
}


def _common(layers: int, dim: int, feed_forward: int, context: int) -> dict[str, Value]:
    return {
        "context_length": context,
        "embedding_length": dim,
        "block_count": layers,
        "feed_forward_length": feed_forward,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": 1e6,
    }


def _norm(name: str, dim: int) -> Tensor:
    return Tensor(name, (dim,), Type.F32)


def _attention(dim: int, heads: int, kv_heads: int, head: int) -> Iterator[Tensor]:
    yield _norm("attn_norm", dim)
    yield Tensor("attn_q", (dim, heads * head))
    yield Tensor("attn_k", (dim, kv_heads * head))
    yield Tensor("attn_v", (dim, kv_heads * head), Type.Q6_K)
    yield Tensor("attn_output", (heads * head, dim))


def _feed_forward(dim: int, feed_forward: int) -> Iterator[Tensor]:
    yield _norm("ffn_norm", dim)
    yield Tensor("ffn_gate", (dim, feed_forward))
    yield Tensor("ffn_up", (dim, feed_forward))
    yield Tensor("ffn_down", (feed_forward, dim), Type.Q6_K)


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a GGUF of a given shape, without weights.")
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("out", type=Path)
    parser.add_argument("--tekken", action="store_true", help="with the real vocabulary of 131,072 tokens")
    parser.add_argument("--shards", type=int, default=1)
    arguments = parser.parse_args()
    started = time.monotonic()
    first = write(arguments.kind, arguments.out, tekken=arguments.tekken, shards=arguments.shards)
    size = first.stat()
    print(f"{first}: {size.st_size:,} bytes, {size.st_blocks * 512:,} on disk, {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
