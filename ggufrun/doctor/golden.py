"""Conversations that every chat format must get right, in the shape that chat templates read."""

from dataclasses import dataclass
from typing import Any, Final

Messages = tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Golden:
    """`thinking`: only for models that think. `effort`: only for those that are told how much."""

    name: str
    messages: Messages
    tools: tuple[dict[str, Any], ...] = ()
    thinking: bool = False
    effort: str | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Texts that must stand in the prompt, however it is written."""
        said = (message["content"].strip() for message in self.messages if isinstance(message["content"], str))
        lines = tuple(text.split("\n")[0] for text in said if text)
        return (*lines, *(tool["function"]["name"] for tool in self.tools))


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _call(id_: str, city: str) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": "get_forecast", "arguments": {"city": city, "days": 2}}}


def _calls(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "tool_calls": list(calls)}


def _result(id_: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "name": "get_forecast", "content": text}


_SYSTEM: Final[dict[str, Any]] = {"role": "system", "content": "You are terse.\nAnswer in one line."}
_TOOL: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": "get_forecast",
        "description": "The weather of the next days, für eine Stadt.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
_THOUGHT: Final[dict[str, Any]] = {
    "role": "assistant",
    "content": [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Two and two.\nThat is four."}]},
        {"type": "text", "text": "Four."},
    ],
}
_TURNS: Final[Messages] = (
    _user("Which is the tallest mountain?"),
    {"role": "assistant", "content": "Mount Everest, with 8,849 m."},
    _user("  And the second?\n\n`K2` – or “Chogori”? 🏔"),
    {"role": "assistant", "content": "K2."},
    _user("Thanks."),
)

GOLDEN: Final = (
    Golden("one question", (_user("What is 2 + 2?"),)),
    Golden("system prompt", (_SYSTEM, _user("What is 2 + 2?"))),
    Golden("several turns", (_SYSTEM, *_TURNS)),
    Golden("tools", (_SYSTEM, _user("How is the weather in Paris?")), (_TOOL,)),
    Golden(
        "tool result",
        (
            _SYSTEM,
            _user("How is the weather in Paris?"),
            _calls(_call("a1b2c3d4e", "Paris")),
            _result("a1b2c3d4e", "18 °C"),
        ),
        (_TOOL,),
    ),
    Golden(
        "two tools at once, and on",
        (
            _SYSTEM,
            _user("Paris or Köln?"),
            _calls(_call("a1b2c3d4e", "Paris"), _call("f5g6h7i8j", "Köln")),
            _result("a1b2c3d4e", '{"sky": "blue"}'),
            _result("f5g6h7i8j", '{"sky": "grey"}'),
            {"role": "assistant", "content": "Paris."},
            _user("Why?"),
        ),
        (_TOOL,),
    ),
    Golden("thinking", (_SYSTEM, _user("What is 2 + 2?"), _THOUGHT, _user("Sure?")), thinking=True),
    Golden("effort none", (_SYSTEM, _user("What is 2 + 2?")), effort="none"),
    Golden("effort high", (_SYSTEM, _user("What is 2 + 2?")), effort="high"),
)
