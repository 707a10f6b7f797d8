"""The tokens that a prompt's format is made of: whether the file has them, as control tokens, under the right ids."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from ggufrun.doctor.finding import Finding, Level
from ggufrun.errors import ModelFileError
from ggufrun.weights.fields import ArrayField
from ggufrun.weights.header import Header

_CONTROL, _UNKNOWN, _USER = 3, 2, 4  # llama.cpp's token types
# What mistral-common writes, by the tokenizer version that brought it (v11 alone writes call ids).
_MISTRAL: Final = {
    "v3": ("[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
           "[TOOL_CALLS]"),
    "v7": ("[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"),
    "v11": ("[ARGS]", "[CALL_ID]"),
    "v13": (),
    "v15": ("[THINK]", "[/THINK]", "[MODEL_SETTINGS]", "[/MODEL_SETTINGS]"),
}  # fmt: skip
_WRITTEN: Final = re.compile(r"<\|[\w /-]{1,40}\|>|<(?:start|end)_of_turn>")  # special tokens in a template
_AGAIN: Final = "Choose another file of this model: this one was converted wrong."


class _Tokens:
    """The file's token list, and what kind each one is."""

    def __init__(self, header: Header) -> None:
        self.texts = header.strings("tokenizer.ggml.tokens")
        known = isinstance(header.metadata.get("tokenizer.ggml.token_type"), ArrayField)
        types = header.numbers("tokenizer.ggml.token_type").tolist() if known else []
        self.types: list[int | None] = types or [None] * len(self.texts)
        self.ids = {text: token for token, text in enumerate(self.texts)}

    def named(self, token: int) -> str:
        return f"{token} ({self.texts[token]})"


def check_vocabulary(header: Header, version: str, *, embeds: bool = False) -> Iterator[Finding]:
    """`version` is Mistral's, "" for other models. `embeds`: the model writes no text."""
    try:
        tokens = _Tokens(header)
    except ModelFileError as error:
        yield Finding("vocabulary", "fault", f"{error.reason.capitalize()}.", error.hint)
        return
    if len(tokens.types) != len(tokens.texts):
        says = f"It has {len(tokens.texts):,} tokens and the types of {len(tokens.types):,}."
        yield Finding("vocabulary", "fault", says, _AGAIN)
        return
    yield _tokenizer(header, len(tokens.texts))
    if embeds:
        return
    yield _ends(header, tokens)
    if version:
        yield _required(tokens, required_tokens(version), (_CONTROL,), "fault", f"mistral-common's {version} format")
    elif template := header.text("tokenizer.chat_template"):
        # Some models have their markers as user-defined tokens, which are found in a prompt as well.
        names = sorted(set(_WRITTEN.findall(template)))
        yield _required(tokens, names, (_CONTROL, _USER), "warning", "the chat template")


def required_tokens(version: str) -> list[str]:
    versions = list(_MISTRAL)
    return [name for each in versions[: versions.index(version) + 1] for name in _MISTRAL[each]]


def _tokenizer(header: Header, count: int) -> Finding:
    kind, pre = header.text("tokenizer.ggml.model"), header.text("tokenizer.ggml.pre")
    if kind is None:
        return Finding(
            "tokenizer", "fault", "It does not say how text is cut into tokens (tokenizer.ggml.model).", _AGAIN
        )
    if kind == "gpt2" and pre in (None, "", "default"):
        says = "It does not say how text is cut before it is tokenized (tokenizer.ggml.pre): answers will be worse."
        return Finding("tokenizer", "warning", says, _AGAIN)
    if header.architecture == "mistral3" and pre not in ("tekken", None):
        says = f"tokenizer.ggml.pre is {pre!r}, and Mistral's models of this kind have 'tekken'."
        return Finding("tokenizer", "warning", says, _AGAIN)
    return Finding("tokenizer", "ok", f"{count:,} tokens, model {kind}, pre-tokenizer {pre or 'none'}.")


def _ends(header: Header, tokens: _Tokens) -> Finding:
    """BOS, EOS and what stands for the unknown."""
    said: list[str] = []
    for name in ("bos", "eos", "unk"):
        token = header.integer(f"tokenizer.ggml.{'unknown' if name == 'unk' else name}_token_id")
        if token is None:
            continue
        if not 0 <= token < len(tokens.texts):
            says = f"The {name} token is {token}, and there are {len(tokens.texts):,} tokens."
            return Finding("special tokens", "fault", says, _AGAIN)
        if tokens.types[token] not in (_CONTROL, _UNKNOWN, _USER, None):
            says = f"The {name} token {tokens.named(token)} is no control token, so it would be printed."
            return Finding("special tokens", "warning", says, _AGAIN)
        said.append(f"{name} {tokens.named(token)}")
    if not any(each.startswith("eos") for each in said):
        says = "It names no token that ends an answer (tokenizer.ggml.eos_token_id)."
        return Finding("special tokens", "warning", says, "Give --stop, or choose another file of this model.")
    return Finding("special tokens", "ok", f"{', '.join(said)}.")


def _required(tokens: _Tokens, names: Sequence[str], allowed: Collection[int], level: Level, what: str) -> Finding:
    """Names that are missing would be cut into pieces, and the model would read letters."""
    missing = [name for name in names if name not in tokens.ids]
    if missing:
        says = f"{', '.join(missing)}: {what} needs {_it(missing)}, and the vocabulary does not have {_it(missing)}."
        return Finding("control tokens", level, says, _AGAIN)
    plain = [name for name in names if tokens.types[tokens.ids[name]] not in (*allowed, None)]
    if plain:
        says = f"{', '.join(plain)}: {what} needs {_it(plain)} as control tokens, and here that is ordinary text."
        return Finding("control tokens", level, says, _AGAIN)
    if not names:
        return Finding("control tokens", "ok", "The chat template names none.")
    return Finding("control tokens", "ok", f"All {len(names)} that are needed by {what} are there.")


def _it(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"
