"""Chooses how a model's prompts are written: by mistral-common, or by a chat template."""

import logging
from collections.abc import Sequence

from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from ggufrun.chat.encoded import EncodedPrompt, PromptEncoder
from ggufrun.chat.mistral import MistralEncoder, parse_version
from ggufrun.chat.tekken import NotTekken, is_tekken, rebuild_tekkenizer
from ggufrun.chat.templated import CHATML, TemplateEncoder
from ggufrun.chat.types import Capabilities
from ggufrun.chat.vision import Vision
from ggufrun.engine.vocabulary import Vocabulary

__all__ = ["EncodedPrompt", "PromptEncoder", "capabilities", "prompt_encoder"]

_log = logging.getLogger(__name__)


def prompt_encoder(
    vocabulary: Vocabulary,
    *,
    template: str | None = None,
    version: str | None = None,
    efforts: Sequence[str] = (),
    vision: Vision | None = None,
) -> PromptEncoder:
    """The encoder for a model. Takes about half a second for Mistral's 131,072 tokens: make it once.

    `template` is a Jinja template that replaces the GGUF's; `version` is the model card's Mistral tokenizer version,
    `efforts` the reasoning efforts that it says a v15 model knows. `vision` is what the model sees with, if it does.
    Raises OptionError for a template or a version that cannot be used.
    """
    embedded = vocabulary.metadata.get("tokenizer.chat_template", "")
    tekkenizer = _tekkenizer(vocabulary, version, efforts)
    # Fine-tunes keep Tekken's words and often change the format; their template then never says [INST].
    if tekkenizer and template is None and tekkenizer.is_special("[INST]") and (not embedded or "[INST]" in embedded):
        return MistralEncoder(tekkenizer, embedded, vision)
    plain = None
    if tekkenizer:
        exact = tekkenizer

        def plain(text: str) -> list[int]:
            return exact.encode(text, bos=False, eos=False)

    return TemplateEncoder(vocabulary, template or embedded or CHATML, plain)


def capabilities(encoder: PromptEncoder) -> Capabilities:
    """What a chat model can be asked for. Tools always: a format that knows none has them described."""
    return Capabilities(reasoning=encoder.supports_thinking, fim=encoder.supports_fim, vision=encoder.supports_vision)


def _tekkenizer(vocabulary: Vocabulary, version: str | None, efforts: Sequence[str]) -> Tekkenizer | None:
    wanted = parse_version(version) if version else None
    if not is_tekken(vocabulary):
        return None
    try:
        return rebuild_tekkenizer(vocabulary, wanted, efforts)
    except NotTekken as error:
        _log.warning("The file says tekken, but %s: its chat template writes the prompts.", error)
        return None
