"""Well-formed headers with vocabularies made by chance, by number: of all kinds that llama.cpp knows, and of none."""

import random
import struct

from tests.weights import gguf_bytes as make

ARCHITECTURES = (
    "llama", "mistral3", "mistral4", "bert", "t5", "rwkv6", "mamba", "gemma3", "qwen2", "clip", "gpt2", "deepseek2",
    "llama4",
)  # fmt: skip
MODELS = (
    "llama", "gpt2", "bert", "t5", "rwkv", "plamo2", "none", "no_vocab", "gemma4", "hybriddna", "whitespace",
    "unknown",
)  # fmt: skip
PRE = (
    "default", "tekken", "llama-bpe", "qwen2", "kimi-k2", "gemma4", "deepseek-llm", "gpt-2", "bloom", "chatglm-bpe",
    "viking", "smollm", "superbpe",
)  # fmt: skip
SHAPE = {
    "block_count": 1, "context_length": 64, "embedding_length": 32, "feed_forward_length": 64, "expert_count": 0,
    "attention.head_count": 2, "attention.head_count_kv": 2, "rope.dimension_count": 16, "vocab_size": 8,
}  # fmt: skip
SPECIAL = (
    "bos", "eos", "unknown", "eot", "eom", "padding", "seperator", "mask", "cls", "fim_pre", "fim_suf",
)  # fmt: skip
FLAGS = (
    "add_bos_token", "add_eos_token", "add_sep_token", "add_space_prefix", "remove_extra_whitespaces",
)  # fmt: skip
WORDS = (
    b"<unk>", b"<s>", b"</s>", *(b"<0x%02X>" % byte for byte in range(256)), b"\xe2\x96\x81", b"\xc4\x8a", b"[UNK]",
    b"<|im_end|>", b"\\n", b"'\\n'",
)  # fmt: skip
ODD = (0, 1, 2, 3, 8, 64, 512, 513, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
UINT8, FLOAT64 = 0, 12
SIZES = {make.FLOAT32: 4, FLOAT64: 8, UINT8: 1, make.INT32: 4, make.UINT32: 4}


def vocabulary(number: int) -> bytes:
    chance = random.Random(number)
    words = _words(chance)
    fields = [*_shape(chance), *_lists(chance, words)]
    if chance.random() < 0.95:
        fields.append(make.field("tokenizer.ggml.model", make.STRING, make.text(chance.choice(MODELS))))
    if chance.random() < 0.7:
        fields.append(make.field("tokenizer.ggml.pre", make.STRING, make.text(chance.choice(PRE))))
    fields += [
        _unsigned(f"tokenizer.ggml.{name}_token_id", chance.choice((0, 1, 2, chance.choice(ODD))))
        for name in SPECIAL
        if chance.random() < 0.3
    ]
    fields += [
        make.field(f"tokenizer.ggml.{name}", chance.choice((make.BOOL, make.BOOL, UINT8)), bytes([chance.randrange(3)]))
        for name in FLAGS
        if chance.random() < 0.3
    ]
    return make.gguf(fields, [make.tensor("token_embd.weight", (32, 8), 0, 0)], data=2048)


def _shape(chance: random.Random) -> list[bytes]:
    name = chance.choice(ARCHITECTURES)
    fields = [make.field("general.architecture", make.STRING, make.text(name))]
    for key, value in SHAPE.items():
        if chance.random() < 0.9:
            fields.append(_unsigned(f"{name}.{key}", value if chance.random() < 0.85 else chance.choice(ODD)))
    epsilon = make.field(f"{name}.attention.layer_norm_rms_epsilon", make.FLOAT32, struct.pack("<f", 1e-5))
    return [*fields, epsilon]


def _unsigned(key: str, value: int) -> bytes:
    return make.field(key, make.UINT32, struct.pack("<I", value))


def _words(chance: random.Random) -> list[bytes]:
    words = [*WORDS, *(b"w%d" % number for number in range(40))][: chance.choice((0, 1, 2, 5, 30, 300, 300, 300))]
    if len(words) > 3 and chance.random() < 0.3:  # alike to llama.cpp, which ends strings at a NUL and names empty ones
        words[1:3] = chance.choice(
            ([b"a", b"a"], [b"a\0x", b"a\0y"], [b"", b"[EMPTY_1]"], [b"", b""], [b"\xff", b"b\0"])
        )
    return words


def _lists(chance: random.Random, words: list[bytes]) -> list[bytes]:
    fields = []
    if chance.random() < 0.97:
        fields.append(_strings("tokenizer.ggml.tokens", words))
    if chance.random() < 0.6:
        merges = chance.choices((b"a b", b"ab", b"", b" ", b"w1 w2", b"\xff \xff"), k=chance.choice((0, 1, 50)))
        fields.append(_strings("tokenizer.ggml.merges", merges))
    if chance.random() < 0.7:
        fields.append(_numbers(chance, "tokenizer.ggml.scores", len(words), (make.FLOAT32,) * 6 + tuple(SIZES)))
    if chance.random() < 0.7:
        fields.append(_types(chance, len(words)))
    if chance.random() < 0.4:
        map_ = chance.choice(
            (b"", bytes(4), struct.pack("<I", 8) + bytes(8), struct.pack("<I", 4) + chance.randbytes(64))
        )
        fields.append(make.field("tokenizer.ggml.precompiled_charsmap", make.ARRAY, make.array(UINT8, len(map_), map_)))
    return fields


def _types(chance: random.Random, count: int) -> bytes:
    if chance.random() < 0.2:
        return _numbers(chance, "tokenizer.ggml.token_type", count, tuple(SIZES))
    types = chance.choices((1, 1, 1, 2, 3, 4, 5, 6, 0, 9), k=count)
    values = struct.pack(f"<{count}i", *types)
    return make.field("tokenizer.ggml.token_type", make.ARRAY, make.array(make.INT32, count, values))


def _numbers(chance: random.Random, key: str, count: int, kinds: tuple[int, ...]) -> bytes:
    kind, length = chance.choice(kinds), chance.choice((count,) * 8 + (0, 1, count + 1, count // 2))
    return make.field(key, make.ARRAY, make.array(kind, length, chance.randbytes(SIZES[kind] * length)))


def _strings(key: str, values: list[bytes]) -> bytes:
    return make.field(key, make.ARRAY, make.array(make.STRING, len(values), b"".join(map(make.text, values))))
