"""The tokens of a prompt for the hosted API, by mistral-common and the vocabulary that comes with it

Mistral's Tekken models share their words; which special tokens there are follows from the tokenizer's version.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, Final

from mistral_common.protocol.instruct.request import ReasoningEffort
from mistral_common.tokens.tokenizers.base import TokenizerVersion
from mistral_common.tokens.tokenizers.model_settings_builder import ModelSettingsBuilder, ReasoningEffortEnumBuilder
from mistral_common.tokens.tokenizers.tekken import SpecialTokenInfo, Tekkenizer

from ggufrun.chat.mistral import MistralEncoder, parse_version
from ggufrun.chat.system_prompts import with_system
from ggufrun.chat.tekken import EFFORTS
from ggufrun.chat.types import AnyRequest, TextRequest
from ggufrun.chat.vision import pictures_in
from ggufrun.errors import ModelLacks

_FILE: Final = "tekken_240911.json"
_LATER: Final = {  # of v11, v13 and v15, with their numbers; the earlier ones mistral-common has
    "[ARGS]": 32,
    "[CALL_ID]": 33,
    "[THINK]": 34,
    "[/THINK]": 35,
    "[MODEL_SETTINGS]": 36,
    "[/MODEL_SETTINGS]": 37,
}


class HostedTokens:
    """Implements `tokens.Tokenizer` for a tokenizer version, "v3" to "v15". It takes a second to make, at first use."""

    def __init__(self, version: str, efforts: Sequence[str] = ()) -> None:
        self._version, self._efforts = parse_version(version), tuple(efforts)

    def tokens(self, request: AnyRequest) -> tuple[int, ...]:
        encoder = _encoder(self._version, self._efforts)
        if isinstance(request, TextRequest):
            return self._text(encoder, request)
        if pictures := pictures_in(request.messages):
            hint = "Ask it: the reply's usage has the count."
            raise ModelLacks("The tokens of images for the hosted API are not counted here.", hint, pictures[0].at)
        messages = with_system(request, "", encoder.reasoning_prompt)
        return encoder.encode(replace(request, messages=messages)).tokens

    def _text(self, encoder: MistralEncoder, request: TextRequest) -> tuple[int, ...]:
        if not isinstance(request.prompt, str):
            return request.prompt
        if request.suffix is not None:
            return tuple(encoder.fill(request.prompt, request.suffix))
        begin = [1] if request.bos else []
        return (*begin, *encoder.tokenize(request.prompt))


@cache
def _encoder(version: TokenizerVersion, efforts: tuple[str, ...]) -> MistralEncoder:
    data: Any = json.loads(files("mistral_common").joinpath("data", _FILE).read_text("utf-8"))
    config = data["config"]
    special, size = int(config["default_num_special_tokens"]), int(config["default_vocab_size"])
    return MistralEncoder(
        Tekkenizer(
            vocab=data["vocab"][: size - special],
            special_tokens=_special(),
            pattern=config["pattern"],
            vocab_size=size,
            num_special_tokens=special,
            version=version,
            name="hosted",
            model_settings_builder=_settings(version, efforts),
        )
    )


def _special() -> list[SpecialTokenInfo]:
    ranks = dict(enumerate(Tekkenizer.DEPRECATED_SPECIAL_TOKENS))
    return [
        *(SpecialTokenInfo(rank=rank, token_str=token["token_str"], is_control=True) for rank, token in ranks.items()),
        *(SpecialTokenInfo(rank=rank, token_str=name, is_control=True) for name, rank in _LATER.items()),
    ]


def _settings(version: TokenizerVersion, efforts: tuple[str, ...]) -> ModelSettingsBuilder | None:
    if not version.supports_model_settings:
        return None
    known = [ReasoningEffort(effort) for effort in efforts or EFFORTS]
    return ModelSettingsBuilder(reasoning_effort=ReasoningEffortEnumBuilder(values=known, default=known[0]))
