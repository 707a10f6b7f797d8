"""Vocabularies and reference tokenizers for the prompt tests, from the Tekken file that mistral-common ships."""

import base64
import copy
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import mistral_common
from mistral_common.protocol.instruct.normalize import get_normalizer
from mistral_common.protocol.instruct.validator import ValidationMode, get_validator
from mistral_common.tokens.tokenizers.base import TokenizerVersion
from mistral_common.tokens.tokenizers.instruct import (
    InstructTokenizerV3,
    InstructTokenizerV7,
    InstructTokenizerV11,
    InstructTokenizerV13,
    InstructTokenizerV15,
)
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from mistral_common.tokens.tokenizers.model_settings_builder import ModelSettingsBuilder
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from ggufrun.chat.tekken import rebuild_tekkenizer

VERSIONS = ("v3", "v7", "v11", "v13", "v15")
_DATA = Path(mistral_common.__file__).parent / "data"
_LATER = {
    "v11": ("[ARGS]", "[CALL_ID]"),
    "v13": ("[THINK]", "[/THINK]"),
    "v15": ("[MODEL_SETTINGS]", "[/MODEL_SETTINGS]"),
}
LAYOUTS: dict[str, Any] = {
    "v3": InstructTokenizerV3,
    "v7": InstructTokenizerV7,
    "v11": InstructTokenizerV11,
    "v13": InstructTokenizerV13,
    "v15": InstructTokenizerV15,
}


@cache
def tekken_json(name: str = "tekken_240911.json") -> Any:
    return json.loads((_DATA / name).read_text())


def special_names(version: str) -> list[str]:
    """The special tokens of a file of that version; v3 has no system prompt."""
    names = [str(token["token_str"]) for token in Tekkenizer.DEPRECATED_SPECIAL_TOKENS]
    if version == "v3":
        names = [name for name in names if name not in ("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]")]
    for since, tokens in _LATER.items():
        if VERSIONS.index(version) >= VERSIONS.index(since):
            names += tokens
    return names


@cache
def reference(version: str) -> Any:
    """mistral-common with its own file: as it is for v3, with the later versions' special tokens for these."""
    if version == "v3":
        return MistralTokenizer.v3(is_tekken=True)
    number = TokenizerVersion(version)
    effort = {"type": "enum", "values": ["none", "high"], "accepts_none": True, "default": "none"}
    builder = ModelSettingsBuilder.model_validate({"reasoning_effort": effort}) if version == "v15" else None
    tekkenizer = copy.copy(published())  # the words are the same, and reading them takes half a second
    names = _padded(special_names(version))
    tekkenizer._all_special_tokens = [
        {"rank": rank, "token_str": name, "is_control": True} for rank, name in enumerate(names)
    ]
    tekkenizer._special_tokens_reverse_vocab = {name: rank for rank, name in enumerate(names)}
    tekkenizer._version, tekkenizer._model_settings_builder = number, builder
    return MistralTokenizer(
        LAYOUTS[version](tekkenizer), get_validator(number, ValidationMode.test), get_normalizer(number, builder)
    )


def published() -> Tekkenizer:
    """The tokenizer of mistral-common's own file, read once in a process."""
    tekkenizer = reference("v3").instruct_tokenizer.tokenizer
    assert isinstance(tekkenizer, Tekkenizer)
    return tekkenizer


@cache
def rebuilt(version: str, wanted: str | None = None) -> Tekkenizer:
    """What ggufrun makes of a GGUF with that version's special tokens, told a version or not."""
    return rebuild_tekkenizer(TekkenVocabulary(version), TokenizerVersion(wanted) if wanted else None)


def _padded(names: list[str]) -> list[str]:
    return names + [f"<SPECIAL_{rank}>" for rank in range(len(names), 1000)]


class TekkenVocabulary:
    """What a GGUF of a Tekken model holds. Implements `Vocabulary`."""

    bos: int | None = 1
    eos: int | None = 2
    adds_bos = True

    def __init__(self, version: str, metadata: Mapping[str, str] | None = None, appended: tuple[str, ...] = ()) -> None:
        self.metadata: Mapping[str, str] = {"tokenizer.ggml.pre": "tekken", **(metadata or {})}
        self._texts = [*_padded(special_names(version)), *_words(), *appended]
        self._special = frozenset([*range(1000), *range(131_072, 131_072 + len(appended))])

    def __len__(self) -> int:
        return len(self._texts)

    def text(self, token: int) -> str:
        return self._texts[token]

    def piece(self, token: int) -> bytes:
        if token in self._special:
            return self._texts[token].encode()
        return base64.b64decode(tekken_json()["vocab"][token - 1000]["token_bytes"])

    def is_special(self, token: int) -> bool:
        return token in self._special

    def is_end(self, token: int) -> bool:
        return token == self.eos

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        raise AssertionError("llama.cpp's tokens of Tekken text are not exact: nothing may ask for them")


@cache
def _words() -> tuple[str, ...]:
    """The ranked words in GPT-2's spelling: printable bytes as they are, the others from U+0100 on."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = iter(range(256, 512))
    spelling = {byte: chr(byte) if byte in seen else chr(next(hidden)) for byte in range(256)}
    entries = tekken_json()["vocab"][: 131_072 - 1000]
    return tuple("".join(map(spelling.__getitem__, base64.b64decode(entry["token_bytes"]))) for entry in entries)
