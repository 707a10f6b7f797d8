"""The random weights of the tiny models, by architecture. Their vocabularies are in `tiny_models`."""

from dataclasses import dataclass

import numpy as np
from gguf import GGUFWriter


@dataclass(frozen=True)
class Shape:
    dim: int = 64
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    feed_forward: int = 128
    context: int = 32_768


class Weights:
    """Adds random tensors; rows are scaled so that activations keep their size from layer to layer."""

    def __init__(self, writer: GGUFWriter, seed: int) -> None:
        self._writer, self._random = writer, np.random.default_rng(seed)

    def matrix(self, name: str, rows: int, columns: int, gain: float = 1.0, half: bool = True) -> None:
        values = self._random.standard_normal((rows, columns), dtype=np.float32) * (gain / columns**0.5)
        self._writer.add_tensor(name, values.astype(np.float16) if half else values)

    def constant(self, name: str, values: np.ndarray) -> None:
        self._writer.add_tensor(name, values.astype(np.float32))


def transformer(writer: GGUFWriter, shape: Shape, vocabulary: int, seed: int) -> None:
    queries, keys = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.dim)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(1e6)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_vocab_size(vocabulary)
    weights = Weights(writer, seed)
    _embeddings(weights, vocabulary, shape.dim)
    for layer in (f"blk.{i}" for i in range(shape.layers)):
        weights.constant(f"{layer}.attn_norm.weight", np.ones(shape.dim))
        weights.matrix(f"{layer}.attn_q.weight", queries, shape.dim)
        weights.matrix(f"{layer}.attn_k.weight", keys, shape.dim)
        weights.matrix(f"{layer}.attn_v.weight", keys, shape.dim)
        weights.matrix(f"{layer}.attn_output.weight", shape.dim, queries)
        weights.constant(f"{layer}.ffn_norm.weight", np.ones(shape.dim))
        weights.matrix(f"{layer}.ffn_gate.weight", shape.feed_forward, shape.dim)
        weights.matrix(f"{layer}.ffn_up.weight", shape.feed_forward, shape.dim)
        weights.matrix(f"{layer}.ffn_down.weight", shape.dim, shape.feed_forward)


def _embeddings(weights: Weights, vocabulary: int, dim: int) -> None:
    weights.matrix("token_embd.weight", vocabulary, dim, gain=dim**0.5)
    weights.constant("output_norm.weight", np.ones(dim))
    weights.matrix("output.weight", vocabulary, dim, gain=3.0)  # logits spread as widely as a trained model's


def bert(writer: GGUFWriter, shape: Shape, vocabulary: int, seed: int) -> None:
    """Weights in 32 bits, so that other computations can be compared closely."""
    dim = shape.dim
    writer.add_context_length(shape.context)
    writer.add_embedding_length(dim)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_layer_norm_eps(1e-5)
    writer.add_causal_attention(False)
    writer.add_token_type_count(2)
    writer.add_vocab_size(vocabulary)
    weights = Weights(writer, seed)

    def linear(name: str, rows: int, columns: int) -> None:
        weights.matrix(f"{name}.weight", rows, columns, half=False)
        weights.constant(f"{name}.bias", np.linspace(-0.1, 0.1, rows))

    def norm(name: str) -> None:
        weights.constant(f"{name}.weight", np.linspace(0.8, 1.2, dim))
        weights.constant(f"{name}.bias", np.linspace(-0.1, 0.1, dim))

    for name, rows in (("token_embd", vocabulary), ("position_embd", shape.context), ("token_types", 2)):
        weights.matrix(f"{name}.weight", rows, dim, gain=dim**0.5, half=False)
    norm("token_embd_norm")
    for layer in (f"blk.{i}" for i in range(shape.layers)):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            linear(f"{layer}.{name}", dim, dim)
        norm(f"{layer}.attn_output_norm")
        linear(f"{layer}.ffn_up", shape.feed_forward, dim)
        linear(f"{layer}.ffn_down", dim, shape.feed_forward)
        norm(f"{layer}.layer_output_norm")


def mamba(writer: GGUFWriter, vocabulary: int, dim: int = 64, layers: int = 2) -> None:
    inner, state, rank, kernel = 2 * dim, 16, 4, 4
    writer.add_context_length(32_768)
    writer.add_embedding_length(dim)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    writer.add_vocab_size(vocabulary)
    weights = Weights(writer, seed=3)
    _embeddings(weights, vocabulary, dim)
    for layer in (f"blk.{i}" for i in range(layers)):
        weights.constant(f"{layer}.attn_norm.weight", np.ones(dim))
        weights.matrix(f"{layer}.ssm_in.weight", 2 * inner, dim)
        weights.matrix(f"{layer}.ssm_conv1d.weight", inner, kernel, half=False)
        weights.constant(f"{layer}.ssm_conv1d.bias", np.zeros(inner))
        weights.matrix(f"{layer}.ssm_x.weight", rank + 2 * state, inner)
        weights.matrix(f"{layer}.ssm_dt.weight", inner, rank)
        weights.constant(f"{layer}.ssm_dt.bias", np.full(inner, -3.0))
        weights.constant(f"{layer}.ssm_a", -np.tile(np.arange(1.0, state + 1), (inner, 1)))
        weights.constant(f"{layer}.ssm_d", np.ones(inner))
        weights.matrix(f"{layer}.ssm_out.weight", dim, inner)
