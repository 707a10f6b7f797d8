"""What the tests of the agents' endpoints share: scripts of answers, and a tool."""

from typing import Any

from ggufrun.chat.types import (
    ChatEvent,
    ChoiceFinished,
    Completed,
    PromptProcessed,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from ggufrun.engine.types import Stats

START: tuple[ChatEvent, ...] = (Started(20, 100), PromptProcessed(20, 20, 12))
DONE = Completed(20, 9, (Stats(20, 9, cached_tokens=12),), 0.1, 0.2, 29, 100)
SAID: tuple[ChatEvent, ...] = (*START, TextDelta("Hi "), TextDelta("there."), ChoiceFinished("stop"), DONE)
CALLED: tuple[ChatEvent, ...] = (
    *START,
    ThinkingDelta("Which "),
    ThinkingDelta("city?", closed=True),
    TextDelta("I look."),
    ToolCallDelta(0, "abcdefghi", "weather", ""),
    ToolCallDelta(0, "abcdefghi", "", '{"city":'),
    ToolCallDelta(0, "abcdefghi", "", ' "Paris"}'),
    ToolCallDelta(1, "jklmnopqr", "now", "{}"),
    ChoiceFinished("tool_calls"),
    DONE,
)
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def events(text: str) -> list[tuple[str, str]]:
    """The events of a stream, as their names and data; comments are left out."""
    found = []
    for block in text.split("\n\n"):
        if block and not block.startswith(":"):
            name, data = block.split("\n")
            found.append((name.removeprefix("event: "), data.removeprefix("data: ")))
    return found
