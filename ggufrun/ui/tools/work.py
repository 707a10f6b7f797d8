"""The tool calls that wait for their results, one of which is shown. Values only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ggufrun.ui.shared import ToolResult

MOST: Final = 16
REFUSED: Final = "The user refused this call."


@dataclass(frozen=True, slots=True)
class Call:
    id: str
    name: str
    arguments: str  # as the model wrote them

    @classmethod
    def of(cls, call: Any) -> "Call":
        """From a tool call as the API has it."""
        call = call if isinstance(call, dict) else {}
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        arguments = function.get("arguments", "")
        written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        return cls(str(call.get("id") or ""), str(function.get("name") or ""), written)

    def given(self) -> dict[str, Any] | None:
        """The arguments, None where they are no JSON object; none at all are an empty one."""
        try:
            found = json.loads(self.arguments or "{}")
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


@dataclass(frozen=True, slots=True)
class Work:
    """`answers` are by the calls' places; a call without one has "". `chat`: the id of the one that they are in."""

    calls: tuple[Call, ...] = ()
    at: int = 0
    answers: tuple[str, ...] = ()
    said: str = field(default="", compare=False)  # how the last run went
    chat: str = ""
    is_sent: bool = False

    @classmethod
    def of(cls, pending: Sequence[Any], chat: str = "") -> "Work":
        calls = tuple(map(Call.of, pending[:MOST]))
        return cls(calls, 0, ("",) * len(calls), chat=chat)

    def anew(self, pending: Sequence[Any], chat: str) -> "Work":
        """With the answers of those calls that were there already."""
        new = Work.of(pending, chat)
        if chat != self.chat:
            return new
        answers = dict(zip(self.calls, self.answers, strict=True))
        return replace(new, answers=tuple(answers.get(call, "") for call in new.calls))

    @property
    def call(self) -> Call:
        return self.calls[self.at]

    @property
    def answer(self) -> str:
        return self.answers[self.at]

    @property
    def complete(self) -> bool:
        return bool(self.calls) and all(map(str.strip, self.answers))

    def answered(self, text: str) -> "Work":
        """The call that is shown."""
        return replace(self, answers=(*self.answers[: self.at], text, *self.answers[self.at + 1 :]))

    def moved(self, by: int) -> "Work":
        return replace(self, at=max(0, min(len(self.calls) - 1, self.at + by)), said="")

    def onward(self) -> "Work":
        """To the next call that has no answer; where all have one, it stays."""
        places = [*range(self.at + 1, len(self.calls)), *range(self.at)]
        return next((replace(self, at=place, said="") for place in places if not self.answers[place].strip()), self)

    def results(self) -> list[ToolResult]:
        return [
            ToolResult(call.id, call.name, text, self.chat) for call, text in zip(self.calls, self.answers, strict=True)
        ]
