"""Prompts that ask for what stands between: compared with mistral-common's own, and by the names that others use."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mistral_common.protocol.fim.request import FIMRequest

from ggufrun.chat.fim import FimTokens, fim_tokens
from ggufrun.chat.mistral import MistralEncoder
from ggufrun.chat.prompt import prompt_encoder
from ggufrun.chat.templated import CHATML, TemplateEncoder
from ggufrun.errors import RequestError
from ggufrun.llama.vocabulary import LlamaVocabulary
from tests import tiny_models, tiny_weights
from tests.chat.vocab import VERSIONS, rebuilt, reference
from tests.fakes import FakeVocabulary

GAPS = [
    ("def f(", "\n    return a\n"),
    ("def f(", ""),
    ("", "):\n  x"),
    ("é ", "☺ ünï[SUFFIX]</s>"),
    ("a ", " b"),
    ("[PREFIX]x", "y"),
]
# MistralTokenizer.v3(is_tekken=False).encode_fim of mistral-common 1.13.1, with sentencepiece 0.2, which is not ours
BY_SENTENCEPIECE = [
    [1, 13, 781, 3055, 1372, 1032, 781, 11, 1569, 1053, 29500],
    [1, 13, 11, 1569, 1053, 29500],
    [1, 13, 2097, 781, 29473, 2086, 11],
    [1, 13, 31369, 5443, 29479, 29688, 29560, 5479, 2599, 7752, 29561, 1468, 29481, 29535, 11, 2001, 29473],
    [1, 13, 1055, 11, 1032, 29473],
    [1, 13, 29492, 11, 1501, 22089, 29561, 29512],
]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("prefix", "suffix"), GAPS)
def test_tekken_models_are_asked_as_mistral_common_does(version: str, prefix: str, suffix: str) -> None:
    encoder = MistralEncoder(rebuilt(version))
    assert encoder.supports_fim
    expected = reference(version).encode_fim(FIMRequest(prompt=prefix, suffix=suffix)).tokens
    assert encoder.fill(prefix, suffix) == expected


def test_sentencepiece_models_are_asked_as_mistral_common_does(tiny_model: Callable[[str], Path]) -> None:
    encoder = prompt_encoder(LlamaVocabulary.from_path(tiny_model("spm-mistral-v3")))
    assert (encoder.dialect, encoder.supports_fim) == ("template", True)
    assert [encoder.fill(*gap) for gap in GAPS] == BY_SENTENCEPIECE


@pytest.mark.parametrize(
    "names",
    [
        ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
        ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
        ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
        ("▁<PRE>", "▁<SUF>", "▁<MID>"),
    ],
)
def test_well_known_names(names: tuple[str, ...]) -> None:
    vocabulary = FakeVocabulary(specials=("<|im_start|>", *names))
    encoder = TemplateEncoder(vocabulary, CHATML)
    assert encoder.supports_fim
    written = b"".join(map(vocabulary.piece, encoder.fill("a", f"b{names[0]}"))).decode()
    assert written == f"{names[0]}a{names[1]}b{names[0]}{names[2]}"
    assert encoder.fill("a", f"b{names[0]}").count(vocabulary.special[names[0]]) == 1  # the user's own is text


def test_bos_comes_first_where_the_model_expects_it() -> None:
    vocabulary = FakeVocabulary(specials=("<s>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>"))
    assert TemplateEncoder(vocabulary, CHATML).fill("a", "b") == [256, 257, 97, 258, 98, 259]


@pytest.mark.parametrize("names", [("fim_pre", "fim_suf", "fim_mid"), ("prefix", "suffix", "middle")])
def test_the_metadata_names_them(names: tuple[str, ...]) -> None:
    metadata = {f"tokenizer.ggml.{name}_token_id": str(at) for at, name in enumerate(names, 5)}
    assert fim_tokens(FakeVocabulary(metadata=metadata), {}) == FimTokens(5, 6, 7)
    broken: list[dict[str, Any]] = [{**metadata, key: value} for key in metadata for value in ("", "-1", "999999", "x")]
    for each in broken:
        assert fim_tokens(FakeVocabulary(metadata=each), {}) is None


def test_two_of_three_are_not_enough() -> None:
    encoder = TemplateEncoder(FakeVocabulary(specials=("<fim_prefix>", "<fim_suffix>")), CHATML)
    assert not encoder.supports_fim
    with pytest.raises(RequestError, match="cannot fill in the middle"):
        encoder.fill("a", "b")


def test_a_filled_gap_ends_where_llama_cpp_says(tmp_path: Path) -> None:
    """Code models end a gap with padding or the next file's name: the engine ends at each of llama.cpp's end tokens."""
    qwen = ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>")
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>", *qwen]
    learned, merges = tiny_models._learn_bpe(tiny_models.LESSON.encode(), 512 - len(specials))
    writer = tiny_models._writer(tmp_path / "code.gguf", "llama", "tiny-code")
    writer.add_tokenizer_pre("gpt-2")
    tiny_models._add_bpe(writer, specials, learned, merges)
    tiny_models._add_ends(writer, bos=0, eos=2, unk=3, add_bos=False)
    tiny_weights.transformer(writer, tiny_weights.Shape(), 512, seed=1)
    tiny_models._finish(writer)
    vocabulary = LlamaVocabulary.from_path(tmp_path / "code.gguf")
    ends = [name for token, name in enumerate(specials) if vocabulary.is_end(token)]
    assert ends == ["<|endoftext|>", "<|im_end|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"]
    encoder = prompt_encoder(vocabulary)
    assert encoder.supports_fim
    tokens = encoder.fill("print(", ")")
    assert [token for token in tokens if token < len(specials)] == [4, 5, 6]
