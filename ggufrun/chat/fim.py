"""Fill in the middle with the tokens that a vocabulary has for it. Tekken models' layout is mistral-common's own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ggufrun.chat.decode import prefixes_space
from ggufrun.engine.vocabulary import Vocabulary

_KEYS: Final = (("fim_pre", "fim_suf", "fim_mid"), ("prefix", "suffix", "middle"))  # the latter before 2024-10
_NAMES: Final = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen, CodeGemma
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, Granite
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek
    ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),  # GLM
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),  # Code Llama
    ("<PRE>", "<SUF>", "<MID>"),  # JetBrains
)
_MARK: Final = "☺"  # as mistral-common has it: any character that no word goes on with


@dataclass(frozen=True, slots=True)
class FimTokens:
    """`middle` None: Mistral's order, in which the suffix comes first and the prefix is simply gone on from."""

    prefix: int
    suffix: int
    middle: int | None = None


def fim_tokens(vocabulary: Vocabulary, specials: Mapping[str, int]) -> FimTokens | None:
    """The vocabulary's, None where it has none. `specials` are its control tokens by name."""
    if "[SUFFIX]" in specials and "[PREFIX]" in specials:
        return FimTokens(specials["[PREFIX]"], specials["[SUFFIX]"])
    for keys in _KEYS:
        found = [vocabulary.metadata.get(f"tokenizer.ggml.{key}_token_id", "") for key in keys]
        if all(each.isdecimal() and int(each) < len(vocabulary) for each in found):
            return FimTokens(*map(int, found))
    for names in _NAMES:
        if all(name in specials for name in names):
            return FimTokens(*(specials[name] for name in names))
    return None


def fill(
    tokens: FimTokens, vocabulary: Vocabulary, tokenize: Callable[[str], list[int]], prefix: str, suffix: str
) -> list[int]:
    """The prompt, BOS included where the model expects it. `tokenize` makes tokens of text without special ones."""
    begin = [vocabulary.bos] if vocabulary.adds_bos and vocabulary.bos is not None else []
    before = tokenize(prefix) if prefix else []
    after = _without_space(tokenize, suffix) if prefixes_space(vocabulary.metadata) else tokenize(suffix)
    if tokens.middle is None:
        return [*begin, tokens.suffix, *after, tokens.prefix, *before]
    return [*begin, tokens.prefix, *before, tokens.suffix, *after, tokens.middle]


def _without_space(tokenize: Callable[[str], list[int]], text: str) -> list[int]:
    """SentencePiece puts a space before any text; a suffix begins where the gap ends."""
    return tokenize(_MARK + text)[len(tokenize(_MARK)) :] if text else []
