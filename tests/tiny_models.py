"""Writes tiny GGUFs with random weights and real tokenizers: `python -m tests.tiny_models mistral3-v13 OUT.gguf`.

They load and decode in llama.cpp like their large relatives; their text is noise. The same kind gives the same bytes.
`mistral3-vision DIR` writes two files that belong together: `model.gguf`, and `mmproj.gguf` with its vision encoder.
"""

import argparse
import base64
import importlib.util
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, PoolingType, TokenType

from tests import tiny_vision, tiny_weights
from tests.tiny_weights import Shape, bert, mamba, transformer

SPECIAL_TOKENS = [  # rank order, as mistral-common's tokenizers for v3 and v7 have them
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"),
    *("[TOOL_RESULTS]", "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]"),
    *("[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"),
]
SPECIAL_COUNT = 1000  # of 131,072 tokens
LATER_TOKENS = {  # the version that brought them, and their ranks
    7: {17: "[SYSTEM_PROMPT]", 18: "[/SYSTEM_PROMPT]", 19: "[TOOL_CONTENT]"},
    11: {32: "[ARGS]", 33: "[CALL_ID]"},
    13: {34: "[THINK]", 35: "[/THINK]"},
    15: {36: "[MODEL_SETTINGS]", 37: "[/MODEL_SETTINGS]"},
}

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MISTRAL_V3 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}"
    "{% set turns = messages[1:] %}{% else %}{% set turns = messages %}{% endif %}"
    "{% for message in turns %}{% if message['role'] == 'user' %}"
    "{% if tools and loop.last %}[AVAILABLE_TOOLS] {{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}"
    "[INST] {% if system and loop.last %}{{ system }}\n\n{% endif %}{{ message['content'] }}[/INST]"
    "{% elif message['tool_calls'] %}[TOOL_CALLS] [{% for call in message['tool_calls'] %}"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments }}, "id": "{{ call.id }}"}'
    "{% if not loop.last %}, {% endif %}{% endfor %}]{{ eos_token }}"
    "{% elif message['role'] == 'assistant' %} {{ message['content'] }}{{ eos_token }}"
    "{% elif message['role'] == 'tool' %}"
    '[TOOL_RESULTS] {"content": {{ message[\'content\'] | tojson }}, "call_id": "{{ message.tool_call_id }}"}'
    "[/TOOL_RESULTS]{% endif %}{% endfor %}"
)
LESSON = """The quick brown fox jumps over the lazy dog. There are three things that the other people in this house
know about the weather: it is never the same, it will be better tomorrow, and nothing can be done about it today.
{"name": "Anna", "age": 34, "city": "Paris", "tags": ["one", "two"], "active": true, "score": null, "ok": false}
You are a helpful assistant. Write a short answer to the question and then stop. What is the capital of France?
When somebody asks which number comes after twelve, say thirteen. Because numbers go on without end, every answer
leads to another question; some children find that funny, while their parents would rather have dinner first.
def add(left, right): return left + right  # print(add(1, 2)) for index in range(10): import json from pathlib"""


def mistral3(version: int, path: Path) -> None:
    """A `mistral3` model with the real Tekken vocabulary and the special tokens of one tokenizer version."""
    writer = _writer(path, "mistral3", f"tiny-mistral3-v{version}-random")
    transformer(writer, Shape(), add_tekken(writer, version), seed=version)
    _finish(writer)


def add_tekken(writer: GGUFWriter, version: int) -> int:
    """The real Tekken vocabulary; returns how many tokens it has."""
    learned, merges = _tekken()
    writer.add_tokenizer_pre("tekken")
    _add_bpe(writer, special_tokens(version), learned, merges)
    _add_ends(writer, bos=1, eos=2, unk=0, add_bos=True)
    return SPECIAL_COUNT + len(learned)


def llama_tiny(path: Path, pooling: PoolingType | None = None) -> None:
    """A llama with 512 byte-level tokens and a ChatML template: for tests that only need a model, fast."""
    writer = _writer(path, "llama", "tiny-llama-random")
    vocabulary = add_little_vocabulary(writer)
    if pooling is not None:
        writer.add_pooling_type(pooling)
        writer.add_add_eos_token(True)
    transformer(writer, Shape(), vocabulary, seed=1)
    _finish(writer)


def add_little_vocabulary(writer: GGUFWriter) -> int:
    """512 byte-level tokens and a ChatML template; returns 512."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>"]
    learned, merges = _learn_bpe(LESSON.encode(), 512 - len(special))
    writer.add_tokenizer_pre("gpt-2")
    _add_bpe(writer, special, learned, merges)
    _add_ends(writer, bos=0, eos=2, unk=3, add_bos=False)
    writer.add_chat_template(CHATML)
    return 512


def recurrent_tiny(path: Path) -> None:
    """A mamba with the vocabulary of `llama_tiny`: its memory is one state a sequence, which cannot be rolled back."""
    writer = _writer(path, "mamba", "tiny-mamba-random")
    mamba(writer, add_little_vocabulary(writer))
    _finish(writer)


def spm_mistral_v3(path: Path) -> None:
    """A llama with Mistral's SentencePiece vocabulary of 32,768 pieces and a v3 chat template."""
    model = mistral_data("mistral_instruct_tokenizer_240323.model.v3").read_bytes()
    pieces, scores, types = zip(*_pieces(model), strict=True)
    writer = _writer(path, "llama", "tiny-spm-mistral-v3-random")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    _add_ends(writer, bos=1, eos=2, unk=0, add_bos=True)
    writer.add_add_space_prefix(True)
    writer.add_chat_template(MISTRAL_V3)
    transformer(writer, Shape(), len(pieces), seed=2)
    _finish(writer)


def bert_tiny(path: Path, pooling: PoolingType) -> None:
    """A BERT with a WordPiece vocabulary of letters and the lesson's words. It makes embeddings and no text."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = sorted(set(re.findall(r"[a-z]{2,}", LESSON.lower())))
    whole = [f"\u2581{each}" for each in (*letters, *words)]  # what begins a word; what goes on with one has no mark
    tokens = [*special, *whole, *letters, "ing", "ed", "er", "est", "ly"]
    writer = _writer(path, "bert", "tiny-bert-random")
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL] * len(special) + [TokenType.NORMAL] * (len(tokens) - len(special)))
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_sep_token_id(3)
    writer.add_mask_token_id(4)
    writer.add_pooling_type(pooling)
    bert(writer, Shape(heads=4, context=128), len(tokens), seed=4)
    _finish(writer)


KINDS: dict[str, Callable[[Path], None]] = {
    **{f"mistral3-v{version}": partial(mistral3, version) for version in (3, 7, 11, 13, 15)},
    "llama-tiny": llama_tiny,
    "recurrent-tiny": recurrent_tiny,
    "spm-mistral-v3": spm_mistral_v3,
    "bert-tiny": partial(bert_tiny, pooling=PoolingType.MEAN),
    "bert-cls-tiny": partial(bert_tiny, pooling=PoolingType.CLS),
    "llama-last-tiny": partial(llama_tiny, pooling=PoolingType.LAST),
    "llama-mean-tiny": partial(llama_tiny, pooling=PoolingType.MEAN),
    "bert-rank-tiny": partial(bert_tiny, pooling=PoolingType.RANK),
}
FOLDERS = {"mistral3-vision": partial(tiny_vision.write_folder, text_model=mistral3)}  # kinds of several files
EMBEDDERS = ("bert-tiny", "bert-cls-tiny", "llama-last-tiny", "llama-mean-tiny", "bert-rank-tiny")  # they write no text


def cached(kind: str, folder: Path) -> Path:
    """The model of this kind in `folder`, written first where this script's present version has not done so."""
    scripts = (Path(__file__), Path(tiny_weights.__file__))
    script = sha256(b"".join(each.read_bytes() for each in scripts)).hexdigest()[:12]
    path = folder / f"{kind}-{script}.gguf"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.tmp")
        KINDS[kind](unfinished)
        unfinished.replace(path)
        _forget_old(folder)
    return path


def _forget_old(folder: Path) -> None:
    """Remove what earlier versions of this script left; nothing that a running suite could still want."""
    for path in folder.glob("*.gguf"):
        if time.time() - path.stat().st_mtime > 7 * 24 * 3600:
            path.unlink(missing_ok=True)


def mistral_data(name: str) -> Path:
    spec = importlib.util.find_spec("mistral_common")
    if spec is None or spec.origin is None:
        raise SystemExit("mistral-common is not installed, and its tokenizer files are needed.")
    return Path(spec.origin).parent / "data" / name


def _writer(path: Path, architecture: str, name: str) -> GGUFWriter:
    writer = GGUFWriter(path, architecture)
    writer.add_type("model")
    writer.add_name(name)
    return writer


def _finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def special_tokens(version: int) -> list[str]:
    names = [f"<SPECIAL_{rank}>" for rank in range(SPECIAL_COUNT)]
    names[: len(SPECIAL_TOKENS)] = SPECIAL_TOKENS
    for since, tokens in LATER_TOKENS.items():
        for rank, name in tokens.items():
            names[rank] = name if version >= since else f"<SPECIAL_{rank}>"
    return names


@cache
def _tekken() -> tuple[list[bytes], list[str]]:
    """Tokens in rank order and merges; the vocabulary is the same in all of Mistral's Tekken files."""
    entries = json.loads(mistral_data("tekken_240911.json").read_bytes())["vocab"][: 131_072 - SPECIAL_COUNT]
    learned = [base64.b64decode(entry["token_bytes"]) for entry in entries]
    return learned, list(_merges(learned))


def _add_bpe(writer: GGUFWriter, special: Sequence[str], learned: Sequence[bytes], merges: Sequence[str]) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([*special, *map(_printable, learned)])
    writer.add_token_types([TokenType.CONTROL] * len(special) + [TokenType.NORMAL] * len(learned))
    writer.add_token_merges(merges)


def _add_ends(writer: GGUFWriter, bos: int, eos: int, unk: int, add_bos: bool) -> None:
    writer.add_bos_token_id(bos)
    writer.add_eos_token_id(eos)
    writer.add_unk_token_id(unk)
    writer.add_add_bos_token(add_bos)


def _byte_alphabet() -> str:
    """GPT-2's printable stand-in for each byte: itself where it can be seen, else the next character from 256 on."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    return "".join(chr(byte if byte in seen else next(hidden)) for byte in range(256))


_ALPHABET = _byte_alphabet()


def _printable(token: bytes) -> str:
    return token.decode("latin-1").translate(_ALPHABET)


def _merges(ranked: Sequence[bytes]) -> Iterator[str]:
    """The two parts that each token was made of, found by running byte-pair encoding up to the token's own rank."""
    ranks = {token: rank for rank, token in enumerate(ranked)}
    for rank, token in enumerate(ranked):
        if len(token) == 1:
            continue
        parts = _encode_below(token, rank, ranks)
        if len(parts) == 2:
            yield " ".join(map(_printable, parts))


def _encode_below(token: bytes, limit: int, ranks: dict[bytes, int]) -> list[bytes]:
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        best, at = min((ranks.get(a + b, limit), i) for i, (a, b) in enumerate(pairwise(parts)))
        if best >= limit:
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def _learn_bpe(text: bytes, size: int) -> tuple[list[bytes], list[str]]:
    """Byte-pair encoding learned from `text`: all bytes, then the most frequent pair, again and again."""
    words = [[word[i : i + 1] for i in range(len(word))] for word in text.replace(b" ", b"\n ").split(b"\n")]
    tokens, merges = [bytes([byte]) for byte in range(256)], []
    while len(tokens) < size:
        counts: dict[tuple[bytes, bytes], int] = {}
        for word in words:
            for pair in pairwise(word):
                counts[pair] = counts.get(pair, 0) + 1
        left, right = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(f"{_printable(left)} {_printable(right)}")
        if left + right not in tokens:
            tokens.append(left + right)
        for word in words:
            for i in reversed(range(len(word) - 1)):
                if word[i : i + 2] == [left, right]:
                    word[i : i + 2] = [left + right]
    return tokens, merges


def _pieces(model: bytes) -> Iterator[tuple[bytes, float, int]]:
    """Piece, score and type of each entry of a SentencePiece model (a protobuf; its field 1 repeats)."""
    for number, value in _protobuf(model):
        if number == 1 and isinstance(value, bytes):
            piece = dict(_protobuf(value))
            text, score, kind = piece[1], piece.get(2, b"\0\0\0\0"), piece.get(3, 1)
            if isinstance(text, bytes) and isinstance(score, bytes) and isinstance(kind, int):
                yield text, float(np.frombuffer(score, "<f4")[0]), kind


def _protobuf(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) of one message: an integer, or the bytes of a number, string or message."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    while at < len(data):
        number, wire = divmod(varint(), 8)
        if wire == 0:
            yield number, varint()
            continue
        length = {1: 8, 5: 4}.get(wire) or varint()
        yield number, data[at : at + length]
        at += length


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a tiny GGUF with random weights.")
    parser.add_argument("kind", choices=sorted((*KINDS, *FOLDERS)))
    parser.add_argument("out", type=Path, help=f"the file; the folder of {', '.join(FOLDERS)}")
    arguments = parser.parse_args()
    (KINDS.get(arguments.kind) or FOLDERS[arguments.kind])(arguments.out)
    for path in sorted(arguments.out.iterdir()) if arguments.out.is_dir() else [arguments.out]:
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
