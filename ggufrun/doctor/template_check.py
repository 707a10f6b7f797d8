"""A file's own chat template against mistral-common, conversation by conversation, token by token."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ggufrun.chat.mistral import MistralEncoder
from ggufrun.chat.sandbox import ChatTemplate
from ggufrun.chat.special import Shield, SpecialNames
from ggufrun.chat.types import ChatOptions, ChatRequest, Message, Tool
from ggufrun.doctor.difference import first_difference
from ggufrun.doctor.finding import Finding, Level
from ggufrun.doctor.golden import GOLDEN, Golden, Messages
from ggufrun.engine.vocabulary import Vocabulary
from ggufrun.errors import OptionError, RequestError

_MOST_SHOWN: Final = 2  # differences that are shown; the others are named
_OWN_SYSTEM: Final = re.compile(r"\[SYSTEM_PROMPT\].*?\[/SYSTEM_PROMPT\]", re.DOTALL)
_FIXED: Final = "ggufrun writes this model's prompts with mistral-common; for other programs, choose a newer file."


@dataclass(frozen=True, slots=True)
class _Difference:
    conversation: str
    shown: tuple[str, ...]


class TemplateCheck:
    """Renders the golden conversations with one template, and has mistral-common encode them where it can."""

    def __init__(self, vocabulary: Vocabulary, source: str, encoder: MistralEncoder | None) -> None:
        """`encoder` None: the model is none that mistral-common knows. OptionError for what is no Jinja."""
        self._vocabulary, self._encoder = vocabulary, encoder
        self._template = ChatTemplate(source)
        self._names = SpecialNames(vocabulary)
        self._added_system = 0  # characters of the system prompt that the template has of its own

    def run(self) -> Iterator[Finding]:
        return self._compare(self._encoder) if self._encoder else self._try()

    def _try(self) -> Iterator[Finding]:
        """Nothing to compare with: what the template refuses or leaves out is worth knowing."""
        lacks: list[str] = []
        for golden in GOLDEN:
            if golden.thinking or golden.effort:
                continue
            try:
                text = self._rendered(golden, golden.messages)
            except RequestError as error:
                lacks.append(f"{golden.name}: {error.message}")
                continue
            if left_out := [part for part in golden.parts if part not in text]:
                lacks.append(f"{golden.name}: it leaves out {left_out[0]!r}.")
        if lacks and lacks[0].startswith(GOLDEN[0].name):
            says, hint = "The chat template cannot write one question.", "Give a good one with --chat-template FILE."
            yield Finding("chat template", "fault", says, hint, tuple(lacks))
        elif lacks:
            says = (
                "The chat template has no place for some of the golden conversations; ggufrun writes those otherwise."
            )
            yield Finding("chat template", "note", says, "", tuple(lacks))
        else:
            yield Finding("chat template", "ok", "The chat template has a place for all golden conversations.")

    def _compare(self, encoder: MistralEncoder) -> Iterator[Finding]:
        told = encoder.version == "v15"
        goldens = [
            golden
            for golden in GOLDEN
            if (not golden.thinking or encoder.supports_thinking) and (golden.effort is None or told)
        ]
        differences = [each for each in (self._difference(golden, encoder) for golden in goldens) if each]
        if self._added_system:
            says = (
                f"The chat template adds a system prompt of its own ({self._added_system:,} characters) where none is."
            )
            yield Finding("system prompt", "note", says, "ggufrun adds none; give --system to have one.")
        if not differences:
            says = f"The chat template writes {len(goldens)} golden conversations exactly as mistral-common does."
            yield Finding("chat template", "ok", says)
            return
        names = ", ".join(each.conversation for each in differences)
        says = f"The chat template differs from mistral-common in {len(differences)} of {len(goldens)}: {names}."
        shown = tuple(line for each in differences[:_MOST_SHOWN] for line in (f"{each.conversation}:", *each.shown))
        yield Finding("chat template", "warning", says, _FIXED, shown)

    def _difference(self, golden: Golden, encoder: MistralEncoder) -> _Difference | None:
        """None where one of the ways in which clients write the conversation gives mistral-common's tokens."""
        try:
            wanted = list(encoder.encode(_request(golden)).tokens)
        except RequestError:  # a conversation that this version has no form for is nothing to hold against a template
            return None
        right = self._text(wanted)
        first: _Difference | None = None
        for messages in _spellings(golden):
            try:
                text = self._rendered(golden, messages)
            except RequestError as error:
                first = first or _Difference(golden.name, (error.message,))
                continue
            text = self._without_own_system(golden, text, right)
            written = self._tokens(text, encoder)
            if written == wanted:
                return None
            shown = first_difference("mistral-common", right, "the template", self._text(written))
            first = first or _Difference(golden.name, shown or ("The same text, cut into other tokens.",))
        return first

    def _rendered(self, golden: Golden, messages: Messages) -> str:
        variables: dict[str, Any] = {
            "messages": list(messages),
            "tools": list(golden.tools) or None,
            "add_generation_prompt": True,
            "bos_token": self._named(self._vocabulary.bos),
            "eos_token": self._named(self._vocabulary.eos),
        }
        if golden.effort:
            variables["reasoning_effort"] = golden.effort
        return self._template.render(variables, 4000)

    def _without_own_system(self, golden: Golden, text: str, right: str) -> str:
        """The text without a system prompt that nobody asked for: Mistral's own templates bring theirs."""
        own = _OWN_SYSTEM.search(text)
        if own is None or golden.messages[0]["role"] == "system" or "[SYSTEM_PROMPT]" in right:
            return text
        self._added_system = len(own[0]) - len("[SYSTEM_PROMPT][/SYSTEM_PROMPT]")
        return text[: own.start()] + text[own.end() :]

    def _tokens(self, text: str, encoder: MistralEncoder) -> list[int]:
        """As a program would that takes special tokens by their names, one BOS in front."""
        tokens = Shield(self._names, ()).tokenize(text, encoder.tokenize)
        bos = self._vocabulary.bos
        return tokens if bos is None or tokens[:1] == [bos] else [bos, *tokens]

    def _text(self, tokens: Sequence[int]) -> str:
        return b"".join(map(self._vocabulary.piece, tokens)).decode("utf-8", "replace")

    def _named(self, token: int | None) -> str:
        return "" if token is None else self._vocabulary.piece(token).decode("utf-8", "replace")


def check_template(vocabulary: Vocabulary, source: str, encoder: MistralEncoder | None) -> Iterator[Finding]:
    """`source` "": the file has none."""
    if not source:
        who = "mistral-common writes this model's prompts" if encoder else "ChatML is taken for it"
        level: Level = "note" if encoder else "warning"
        hint = "" if encoder else "Give the right one with --chat-template FILE."
        yield Finding("chat template", level, f"The file has no chat template; {who}.", hint)
        return
    try:
        check = TemplateCheck(vocabulary, source, encoder)
    except OptionError as error:
        yield Finding(
            "chat template", "warning" if encoder else "fault", error.message, _FIXED if encoder else error.hint
        )
        return
    yield from check.run()


def _request(golden: Golden) -> ChatRequest:
    return ChatRequest(
        messages=tuple(Message.model_validate(message) for message in golden.messages),
        tools=tuple(Tool.model_validate(tool) for tool in golden.tools),
        options=ChatOptions(reasoning_effort=golden.effort),
    )


def _spellings(golden: Golden) -> Iterator[Messages]:
    """The ways in which clients hand thinking to a template; without it there is one."""
    if not golden.thinking:
        yield golden.messages
        return
    yield tuple(_with_thinking(message, as_text=True) for message in golden.messages)
    yield golden.messages
    yield tuple(_with_thinking(message, as_text=False) for message in golden.messages)


def _with_thinking(message: dict[str, Any], *, as_text: bool) -> dict[str, Any]:
    """The chunk's thinking as a string, or beside the content, where llama.cpp's server and others have it."""
    if not isinstance(message["content"], list):
        return message
    thinking, said = message["content"]
    text = "".join(part["text"] for part in thinking["thinking"])
    if as_text:
        return {**message, "content": [{"type": "thinking", "thinking": text}, said]}
    return {**message, "content": said["text"], "reasoning_content": text}
