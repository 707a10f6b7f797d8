"""What was asked and answered in one call, for the ledger of those who start the server with --log-prompts."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic_core import to_jsonable_python

from ggufrun.api.calls.batch import Asked
from ggufrun.chat.types import ChatEvent, TextDelta, TextRequest, ThinkingDelta, ToolCallDelta
from ggufrun.records.ledger import Text


@dataclass(slots=True)
class _Choice:
    text: str = ""
    thinking: str = ""
    tool_calls: list[dict[str, str]] = field(default_factory=list)

    def call(self, index: int) -> dict[str, str]:
        while len(self.tool_calls) <= index:
            self.tool_calls.append({"name": "", "arguments": ""})
        return self.tool_calls[index]


class Transcript:
    """Reads a request, and the events of its answer."""

    def __init__(self, request: Asked) -> None:
        self._request = request
        self._choices: dict[int, _Choice] = {}

    def add(self, event: ChatEvent) -> None:
        if not isinstance(event, TextDelta | ThinkingDelta | ToolCallDelta):
            return
        choice = self._choices.setdefault(event.choice, _Choice())
        if isinstance(event, TextDelta):
            choice.text += event.text
        elif isinstance(event, ThinkingDelta):
            choice.thinking += event.text
        else:
            call = choice.call(event.index)
            call["name"] += event.name
            call["arguments"] += event.arguments

    def text(self) -> Text:
        """Both as JSON: the prompt or the messages and tools; a list of the choices, as far as they came."""
        answer = [asdict(self._choices[number]) for number in sorted(self._choices)]
        return Text(_json(_asked(self._request)), _json(answer))


def _asked(request: Asked) -> dict[str, Any]:
    if isinstance(request, tuple):
        return {"prompt": [each.prompt for each in request]}
    if isinstance(request, TextRequest):
        return {"prompt": request.prompt, "suffix": request.suffix}
    return {"messages": request.messages, "tools": request.tools}


def _json(value: object) -> str:
    text = json.dumps(to_jsonable_python(value, exclude_none=True), ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()  # a request may hold half a character
