"""Reads one answer's events to its end, and says what it was and what it cost. No terminal and no JSON layout here."""

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from ggufrun.chat.types import (
    ChatEvent,
    ChatModel,
    ChatRequest,
    ChoiceEnd,
    ChoiceFinished,
    Completed,
    PromptProcessed,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from ggufrun.errors import EngineError


class Screen(Protocol):
    """Where an answer is shown while it comes."""

    def prompt_progress(self, event: PromptProcessed) -> None: ...
    def thinking(self, text: str) -> None: ...
    def text(self, text: str) -> None: ...


@dataclass(slots=True)
class Answer:
    """What has come of an answer so far; `completed` is there once it has ended by itself."""

    started: Started | None = None
    text: str = ""
    thinking: str = ""
    tool_calls: dict[int, dict[str, str]] = field(default_factory=dict)  # by index: id, name, arguments
    reason: ChoiceEnd = "stop"
    completed: Completed | None = None

    def calls(self) -> list[dict[str, Any]]:
        """The tool calls in OpenAI's and Mistral's layout."""
        return [
            {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
            for _, c in sorted(self.tool_calls.items())
        ]


async def read_answer(model: ChatModel, request: ChatRequest, answer: Answer, screen: Screen) -> None:
    """Ask, and fill `answer` while the events come. Raises what the model raises; `EngineError` if the answer broke.

    Cancelling this call cancels the request; `answer` then holds what had come.
    """
    async with aclosing(model.complete(request)) as events:
        async for event in events:
            _take(event, answer, screen)
    if answer.reason == "error":
        raise EngineError("The engine could not finish this answer.", "Ask again; --debug tells more.")


def _take(event: ChatEvent, answer: Answer, screen: Screen) -> None:
    match event:
        case Started():
            answer.started = event
        case PromptProcessed():
            screen.prompt_progress(event)
        case ThinkingDelta(text=text):
            answer.thinking += text
            screen.thinking(text)
        case TextDelta(text=text):
            answer.text += text
            screen.text(text)
        case ToolCallDelta():
            call = answer.tool_calls.setdefault(event.index, {"id": event.id, "name": event.name, "arguments": ""})
            call["arguments"] += event.arguments
        case ChoiceFinished():
            answer.reason = event.reason
        case Completed():
            answer.completed = event
