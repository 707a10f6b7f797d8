"""A whole answer that nobody has seen yet. Whether it is good enough is `judge`'s."""

from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field, replace

from ggufrun.chat.types import ChatEvent, TextDelta, ToolCallDelta
from ggufrun.errors import SchemaNotSatisfied


@dataclass(slots=True)
class Call:
    """One tool call, put together."""

    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class HeldAnswer:
    """`error` stands where the last event would: the engine itself found that the answer breaks its schema."""

    events: list[ChatEvent] = field(default_factory=list)
    error: SchemaNotSatisfied | None = None

    def texts(self) -> dict[int, str]:
        """By choice, as far as it has any."""
        texts: dict[int, str] = {}
        for event in self.events:
            if type(event) is TextDelta:
                texts[event.choice] = texts.get(event.choice, "") + event.text
        return texts

    def calls(self) -> dict[int, list[Call]]:
        """By choice, as far as it has any, in order."""
        calls: dict[tuple[int, int], Call] = {}
        for event in self.events:
            if type(event) is ToolCallDelta:
                call = calls.setdefault((event.choice, event.index), Call())
                call.name += event.name
                call.arguments += event.arguments
        found: dict[int, list[Call]] = {}
        for choice, index in sorted(calls):
            found.setdefault(choice, []).append(calls[choice, index])
        return found

    async def replay(self, *, logprobs: bool) -> AsyncGenerator[ChatEvent, None]:
        """The events, with the log-probabilities if the client asked for them. Raises `error` at the end."""
        for event in self._shown() if not logprobs else self.events:
            yield event
        if self.error is not None:
            raise self.error

    def _shown(self) -> Iterator[ChatEvent]:
        for event in self.events:
            yield replace(event, logprobs=()) if type(event) is TextDelta and event.logprobs else event
