"""Prompts written by a GGUF's own chat template: every model that mistral-common does not encode."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ggufrun.chat.encoded import Dialect, EncodedPrompt, NestedTooDeeply, refuse_empty, text_of, thinking_of
from ggufrun.chat.fim import fill, fim_tokens
from ggufrun.chat.sandbox import ChatTemplate
from ggufrun.chat.special import PlainTokenizer, Shield, SpecialNames, strings_in
from ggufrun.chat.style import OutputStyle, ThinkingStyle, ToolCallStyle
from ggufrun.chat.template_messages import template_messages, template_tools, without_system, without_tools
from ggufrun.chat.tool_check import check_schemas
from ggufrun.chat.types import ChatRequest, Content, Message
from ggufrun.engine.vocabulary import Vocabulary
from ggufrun.errors import ModelLacks, RequestError

# For files without a template: the format that most fine-tunes without one were trained on.
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_OUTPUT_SPECIALS = ("[THINK]", "[/THINK]", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]")
_PROBE = "probe_of_ggufrun"
_PROBE_TOOL = {
    "type": "function",
    "function": {"name": _PROBE, "description": "", "parameters": {"type": "object", "properties": {}}},
}
_PROBE_CALL = {
    "id": "probe0000",
    "type": "function",
    "function": {"name": _PROBE, "arguments": {"place": "probed"}},
}
_HERMES_CALL = re.compile(rf"<tool_call>\s*({{[^<]*{_PROBE}[^<]*}})\s*</tool_call>")


@dataclass(frozen=True, slots=True)
class _Prompt:
    """What the template is asked to write, and the part of the answer that the client wrote (`prefix`)."""

    variables: dict[str, Any]
    prefix: str
    thinking: str
    thinking_closed: bool


class TemplateEncoder:
    """Encodes chat requests with one template. Probes at the start what the template can do."""

    dialect: Dialect = "template"
    version = ""
    supports_vision = False  # where a picture's tokens belong is another matter for every family
    reasoning_prompt: Content = None  # a template has its own

    def __init__(self, vocabulary: Vocabulary, source: str, plain: PlainTokenizer | None = None) -> None:
        """`plain` tokenizes text without special tokens where the vocabulary's own way is not exact (Tekken)."""
        self._vocabulary = vocabulary
        self._plain = plain
        self._template = ChatTemplate(source)
        self._names = SpecialNames(vocabulary)
        self._special = {name: self._names.ids[name] for name in _OUTPUT_SPECIALS if name in self._names.ids}
        self._fim = fim_tokens(vocabulary, self._names.ids)
        self.supports_fim = self._fim is not None
        self._thinking = _thinking_style(source, self._special)
        self.supports_thinking = self._thinking != "none"
        told = [{"role": "system", "content": _PROBE}, {"role": "user", "content": "?"}]
        self._knows_system = _PROBE in self._probe(told, [])
        self._tool_calls = self._tool_style()
        self.supports_tools = self._tool_calls != "none"

    def encode(self, request: ChatRequest) -> EncodedPrompt:
        refuse_empty(request.messages)
        try:
            return self._encode(request)
        except RecursionError as error:
            raise NestedTooDeeply from error

    def fill(self, prefix: str, suffix: str) -> list[int]:
        if self._fim is None:
            raise ModelLacks("This model cannot fill in the middle.", "Choose a code model that can.", "suffix")
        return fill(self._fim, self._vocabulary, self.tokenize, prefix, suffix)

    def tokenize(self, text: str) -> list[int]:
        return self._plain(text) if self._plain else self._vocabulary.tokenize(text, special=False)

    def _encode(self, request: ChatRequest) -> EncodedPrompt:
        check_schemas(() if request.tool_choice == "none" else request.tools)
        prompt = self._prompt(request)
        strings = [*strings_in(prompt.variables), prompt.prefix, prompt.thinking]
        shield = Shield(self._names, strings)
        rendered = self._template.render(
            {**self._names_of_ends(), **shield.protect(prompt.variables)}, sum(map(len, strings))
        )
        in_thinking = rendered.rstrip().endswith("<think>")
        begun, in_thinking = _begin_answer(prompt, in_thinking)
        tokens = self._tokens(shield, rendered + shield.protect(begun))
        return EncodedPrompt(
            tokens=tuple(self._with_bos(tokens)),
            style=self._style(request, in_thinking),
            dialect=self.dialect,
            prefix_text=prompt.prefix,
        )

    def _prompt(self, request: ChatRequest) -> _Prompt:
        messages, tools = request.messages, template_tools(request)
        last = messages[-1]
        continued = last.role == "assistant" and not last.tool_calls
        history = messages[:-1] if continued else messages
        plain = template_messages(history, nine_character_ids=self._tool_calls == "mistral")
        if not self.supports_tools and (tools or any(_has_tools(message) for message in history)):
            plain, tools = without_tools(plain, tools), []
        if not self._knows_system:
            plain = without_system(plain)
        thinking, closed = thinking_of(last) if continued else ("", True)
        variables = {"messages": plain, "tools": tools or None, "add_generation_prompt": True}
        return _Prompt(variables | _effort(request), text_of(last) if continued else "", thinking, closed)

    def _tokens(self, shield: Shield, text: str) -> list[int]:
        if shield.active or self._plain:
            return shield.tokenize(text, self.tokenize)
        return self._vocabulary.tokenize(text, special=True)

    def _with_bos(self, tokens: list[int]) -> list[int]:
        """Exactly one BOS where the model expects it; many templates write one too."""
        bos = self._vocabulary.bos
        while len(tokens) > 1 and tokens[0] == tokens[1] == bos:
            tokens = tokens[1:]
        if bos is not None and self._vocabulary.adds_bos and tokens[:1] != [bos]:
            return [bos, *tokens]
        return tokens

    def _names_of_ends(self) -> dict[str, str]:
        ends = {"bos_token": self._vocabulary.bos, "eos_token": self._vocabulary.eos}
        return {
            name: "" if token is None else self._vocabulary.piece(token).decode("utf-8", "replace")
            for name, token in ends.items()
        }

    def _style(self, request: ChatRequest, in_thinking: bool) -> OutputStyle:
        calls = self._tool_calls
        if request.tool_choice == "none" or (calls != "mistral" and not request.tools):
            calls = "none"
        elif calls == "none":
            calls = "hermes"  # the generic form asks for the same tags
        return OutputStyle(self._thinking, self._thinking == "markers" and in_thinking, calls, self._special)

    def _tool_style(self) -> ToolCallStyle:
        """How a model trained on this template calls tools; "none" if it knows none, or in a way we don't read."""
        asked: dict[str, Any] = {"role": "user", "content": "?"}
        if _PROBE not in self._probe([asked], [_PROBE_TOOL]):
            return "none"
        if "[TOOL_CALLS]" in self._template.source and "[TOOL_CALLS]" in self._special:
            return "mistral"
        called = {"role": "assistant", "content": "", "tool_calls": [_PROBE_CALL]}
        result = {"role": "tool", "content": "1", "name": _PROBE, "tool_call_id": _PROBE_CALL["id"]}
        call = _HERMES_CALL.search(self._probe([asked, called, result], [_PROBE_TOOL]))
        try:
            return "hermes" if call and json.loads(call[1]) == _PROBE_CALL["function"] else "none"
        except ValueError:
            return "none"

    def _probe(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
        """What the template writes for these messages; nothing where it refuses them."""
        variables = {"messages": messages, "tools": tools or None, "add_generation_prompt": True}
        try:
            return self._template.render({**self._names_of_ends(), **variables}, 100)
        except RequestError:
            return ""


def _thinking_style(source: str, special: Mapping[str, int]) -> ThinkingStyle:
    if "[THINK]" in source and "[THINK]" in special:
        return "tokens"
    return "markers" if "<think>" in source or "</think>" in source else "none"


def _begin_answer(prompt: _Prompt, in_thinking: bool) -> tuple[str, bool]:
    """The start of the answer that the client gave, as the model would have written it, and whether it is thinking."""
    text = ""
    if prompt.thinking:
        text = prompt.thinking if in_thinking else f"<think>\n{prompt.thinking}"
        in_thinking = not prompt.thinking_closed
        if prompt.thinking_closed:
            text += "\n</think>\n\n"
    elif prompt.prefix and in_thinking:
        text, in_thinking = "\n</think>\n\n", False
    return text + prompt.prefix, in_thinking


def _effort(request: ChatRequest) -> dict[str, Any]:
    """How much to think, under the names that templates use for it; left to the template's default if not said."""
    effort = request.options.reasoning_effort
    if effort is None:
        return {}
    thinks = effort not in ("none", "minimal")
    return {"enable_thinking": thinks, "thinking": thinks, "reasoning_effort": effort}


def _has_tools(message: Message) -> bool:
    return message.role == "tool" or bool(message.tool_calls)
