"""The tool calls that wait for their results, one of which is shown. Values only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ggufrun.ui.shared import ToolResult
from ggufrun.ui.tools.allowed import mark_of

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
class Place:
    """Where the calls stand: in which chat, and in which of its answers. See `Conversation.pending`."""

    chat: str = ""
    message: str = ""
    round: int = 0
    fresh: bool = False

    @classmethod
    def of(cls, pending: Sequence[Any]) -> "Place":
        first = pending[0] if pending and isinstance(pending[0], dict) else {}
        chat, message = (str(first.get(name) or "") for name in ("chat", "message"))
        return cls(chat, message, int(first.get("round") or 0), first.get("fresh") is True)


@dataclass(frozen=True, slots=True)
class Work:
    """`answers` are by the calls' places; a call without one has ""."""

    calls: tuple[Call, ...] = ()
    at: int = 0
    answers: tuple[str, ...] = ()
    said: str = field(default="", compare=False)  # how the last run went
    place: Place = Place()
    is_sent: bool = False

    @classmethod
    def of(cls, pending: Sequence[Any]) -> "Work":
        calls = tuple(map(Call.of, pending))
        return cls(calls, 0, ("",) * len(calls), place=Place.of(pending))

    def anew(self, pending: Sequence[Any]) -> "Work":
        """With the answers of those calls that were there already."""
        new = Work.of(pending)
        if (new.place.chat, new.place.message) != (self.place.chat, self.place.message):
            return new
        answers = dict(zip(self.calls, self.answers, strict=True))
        return replace(new, answers=tuple(answers.get(call, "") for call in new.calls))

    @property
    def chat(self) -> str:
        return self.place.chat

    @property
    def call(self) -> Call:
        return self.calls[self.at]

    @property
    def answer(self) -> str:
        return self.answers[self.at]

    @property
    def mark(self) -> str:
        """Of the call that is shown: no other has it, in whichever chat. "" where none is."""
        if not self.calls:
            return ""
        call = self.call
        return mark_of(self.place.chat, self.place.message, self.at, call.id, call.name, call.arguments)

    @property
    def complete(self) -> bool:
        return bool(self.calls) and all(map(str.strip, self.answers))

    @property
    def unanswered(self) -> int:
        return sum(not answer.strip() for answer in self.answers)

    def answered(self, text: str) -> "Work":
        """The call that is shown."""
        return replace(self, answers=(*self.answers[: self.at], text, *self.answers[self.at + 1 :]))

    def all_answered(self, text: str) -> "Work":
        """All that have no answer."""
        return replace(self, answers=tuple(answer if answer.strip() else text for answer in self.answers))

    def moved(self, by: int) -> "Work":
        return replace(self, at=max(0, min(len(self.calls) - 1, self.at + by)), said="")

    def onward(self) -> "Work":
        """To the next call that has no answer; where all have one, it stays."""
        places = [*range(self.at + 1, len(self.calls)), *range(self.at)]
        return next((replace(self, at=place, said="") for place in places if not self.answers[place].strip()), self)

    def results(self) -> list[ToolResult]:
        answered = zip(self.calls, self.answers, strict=True)
        return [ToolResult(call.id, call.name, text, self.chat, self.place.message) for call, text in answered]
