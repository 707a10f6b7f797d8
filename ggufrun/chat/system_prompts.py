"""The system messages that a request does not write itself: the user's settings, the guardrail, the call to think."""

import re
from typing import Final

from jinja2 import Environment, TemplateError
from jinja2.nodes import Assign, Const, Name

from ggufrun.chat.types import ChatRequest, Content, Message, TextChunk, ThinkingChunk

# https://docs.mistral.ai/capabilities/guardrailing: what `safe_prompt` puts in front
SAFETY: Final = (
    "Always assist with care, respect, and truth. Respond with utmost utility yet securely. Avoid harmful, unethical, "
    "prejudiced, or negative content. Ensure replies promote fairness and positivity."
)
# Magistral Small 2509's SYSTEM_PROMPT.txt, whose parts Mistral's own example makes chunks of
REASONING: Final = (
    "First draft your thinking process (inner monologue) until you arrive at a response. Format your response using "
    "Markdown, and use LaTeX for any mathematical equations. Write both your thoughts and the response in the same "
    "language as the input.\n\nYour thinking process must follow the template below:[THINK]Your thoughts or/and draft, "
    "like working through an exercise on scratch paper. Be as casual and as long as you want until you are confident "
    "to generate the response. Use the same language as the input.[/THINK]Here, provide a self-contained response."
)
_LONGEST: Final = 1 << 19  # characters of a template that is looked into
_THOUGHT: Final = re.compile(r"(.*)\[THINK\](.*)\[/THINK\](.*)", re.DOTALL)


def reasoning_prompt(template: str) -> Content:
    """The system prompt that makes a model of Mistral's v13 format think: its own template's, or Magistral's."""
    parts = _THOUGHT.fullmatch(_default_of(template)) or _THOUGHT.fullmatch(REASONING)
    assert parts is not None
    before, thought, after = (TextChunk(text=text) for text in parts.groups())
    return tuple(part for part in (before, ThinkingChunk(type="thinking", thinking=(thought,)), after) if _says(part))


def with_system(request: ChatRequest, system: str, reasoning: Content) -> tuple[Message, ...]:
    """The messages with what belongs in front of them. No messages at all stay none: that is an error.

    `system` is the model's settings', `reasoning` what `prompt_mode` adds; a request's own system message displaces
    both. The guardrail of `safe_prompt` comes first in any case.
    """
    messages = request.messages
    if not messages:
        return messages
    told = any(message.role in ("system", "developer") for message in messages)
    if not told and system and request.default_system:
        messages = (Message(role="system", content=system), *messages)
    elif not told and reasoning and request.prompt_mode == "reasoning":
        messages = (Message(role="system", content=reasoning), *messages)
    return _guarded(messages) if request.safe_prompt else messages


def _guarded(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    first = messages[0]
    if first.role not in ("system", "developer") or not first.content:
        return (Message(role="system", content=SAFETY), *messages)
    content: Content
    if isinstance(first.content, str):
        content = f"{SAFETY}\n\n{first.content}"
    elif isinstance(first.content[0], TextChunk):
        content = (TextChunk(text=f"{SAFETY}\n\n{first.content[0].text}"), *first.content[1:])
    else:
        content = (TextChunk(text=f"{SAFETY}\n\n"), *first.content)
    return (first.model_copy(update={"content": content}), *messages[1:])


def _default_of(template: str) -> str:
    """What a chat template says where there is no system message, "" where it says nothing that can be read."""
    if "default_system_message" not in template or len(template) > _LONGEST:
        return ""
    try:
        assigned = Environment(autoescape=False, extensions=["jinja2.ext.loopcontrols"]).parse(template)
    except (TemplateError, RecursionError):
        return ""
    for node in assigned.find_all(Assign):
        named = isinstance(node.target, Name) and node.target.name == "default_system_message"
        if named and isinstance(node.node, Const) and isinstance(node.node.value, str):
            return node.node.value
    return ""


def _says(part: TextChunk | ThinkingChunk) -> bool:
    return isinstance(part, ThinkingChunk) or bool(part.text)
