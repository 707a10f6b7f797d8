"""mistral-common's Tekkenizer, rebuilt from a GGUF's own vocabulary: the tokens that the model was trained on.

llama.cpp's own `tekken` pre-tokenizer splits words with combining marks elsewhere. Chat requests are `mistral.py`'s.
"""

import base64
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from mistral_common.protocol.instruct.request import ReasoningEffort
from mistral_common.tokens.tokenizers.base import TokenizerVersion
from mistral_common.tokens.tokenizers.model_settings_builder import ModelSettingsBuilder, ReasoningEffortEnumBuilder
from mistral_common.tokens.tokenizers.tekken import SpecialTokenInfo, Tekkenizer, TokenInfo

from ggufrun.engine.vocabulary import Vocabulary

# As published in mistral-common's tekken_240718.json and tekken_240911.json (a test compares it with both).
PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# The special token that came with a version, newest first; a vocabulary with none of them is v3.
EFFORTS = ("none", "high")  # of Mistral's own models
_MARKS = (
    ("[MODEL_SETTINGS]", TokenizerVersion.v15),
    ("[THINK]", TokenizerVersion.v13),
    ("[ARGS]", TokenizerVersion.v11),
    ("[SYSTEM_PROMPT]", TokenizerVersion.v7),
)


class NotTekken(ValueError):
    """The vocabulary is not a Tekken one, whatever its metadata says."""


class GgufTekkenizer(Tekkenizer):
    """A Tekkenizer that leaves the list of all decoded tokens, 0.3 s of work, until someone asks for it."""

    _built = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._built = True

    def id_to_piece(self, token_id: int) -> str:
        return super().id_to_piece(token_id) if self._built else ""

    @cached_property
    def _pieces(self) -> list[str]:
        return [self.id_to_piece(token) for token in range(self.n_words)]

    def vocab(self) -> list[str]:
        return self._pieces


def is_tekken(vocabulary: Vocabulary) -> bool:
    return vocabulary.metadata.get("tokenizer.ggml.pre") == "tekken"


def rebuild_tekkenizer(
    vocabulary: Vocabulary, version: TokenizerVersion | None = None, efforts: Sequence[str] = ()
) -> Tekkenizer:
    """The Tekkenizer of a GGUF with `tokenizer.ggml.pre` = tekken; token ids are the GGUF's.

    `version` None: found out from the special tokens and the GGUF's chat template. `efforts` are what a v15 model may
    be told, the first where a request does not say. Raises NotTekken if the token list does not fit.
    """
    texts = [vocabulary.text(token) for token in range(len(vocabulary))]
    while texts and vocabulary.is_special(len(texts) - 1):  # fine-tunes add control tokens at the end
        texts.pop()
    specials, words = _split(texts)
    if version is None:
        version = version_of(set(specials), vocabulary.metadata.get("tokenizer.chat_template", ""))
    return GgufTekkenizer(
        vocab=words,
        special_tokens=[
            SpecialTokenInfo(rank=rank, token_str=text, is_control=True) for rank, text in enumerate(specials)
        ],
        pattern=PATTERN,
        vocab_size=len(texts),
        num_special_tokens=len(specials),
        version=version,
        name="gguf-tekken",
        model_settings_builder=_settings(version, efforts or EFFORTS),
    )


def version_of(specials: set[str], template: str = "") -> TokenizerVersion:
    """The tokenizer version that a set of special tokens' names belongs to.

    mistral-common lists v7's tokens for v3 files too, so some v3 GGUFs have them; their template does without.
    """
    version = next((version for mark, version in _MARKS if mark in specials), TokenizerVersion.v3)
    if version == TokenizerVersion.v7 and "[INST]" in template and "[SYSTEM_PROMPT]" not in template:
        return TokenizerVersion.v3
    return version


def _split(texts: list[str]) -> tuple[list[str], list[TokenInfo]]:
    """Control tokens, which come first, and the ranked words: the 256 single bytes, then the merges."""
    table = _byte_table()
    single = {byte: char for char, byte in table.items()}
    zero = chr(single[0])
    if zero not in texts:
        raise NotTekken("the vocabulary has no byte tokens")
    start = texts.index(zero)
    if "".join(texts[start : start + 256]) != "".join(chr(single[byte]) for byte in range(256)):
        raise NotTekken("the 256 byte tokens are not in order")
    specials = texts[:start]
    if len(set(specials)) != len(specials) or len(set(texts[start:])) != len(texts) - start:
        raise NotTekken("the vocabulary names a token twice")
    try:
        words = [
            TokenInfo(rank=rank, token_bytes=base64.b64encode(raw).decode("ascii"), token_str=None)
            for rank, raw in enumerate(text.translate(table).encode("latin-1") for text in texts[start:])
        ]
    except UnicodeEncodeError as error:
        raise NotTekken(f"{error.object!r} is not spelled in byte-level unicode") from error
    return specials, words


def _byte_table() -> dict[int, int]:
    """GPT-2's byte-level unicode, backwards: printable Latin-1 stands for itself, the other bytes for U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: byte for byte in printable} | {0x100 + place: byte for place, byte in enumerate(others)}


def _settings(version: TokenizerVersion, efforts: Sequence[str]) -> ModelSettingsBuilder | None:
    """v15 models are told how much to think. The GGUF does not say which efforts they know: their card does."""
    if not version.supports_model_settings:
        return None
    known = [ReasoningEffort(effort) for effort in efforts]
    return ModelSettingsBuilder(reasoning_effort=ReasoningEffortEnumBuilder(values=known, default=known[0]))
