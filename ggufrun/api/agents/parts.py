"""An answer's parts in the order in which they come: thinking, text and tool calls, each with its beginning and end.

What the agents' endpoints share: Anthropic's content blocks and OpenAI's output items are such parts.
"""

import uuid
from dataclasses import dataclass, field
from typing import Literal

from ggufrun.api.calls.usage import cached_tokens
from ggufrun.chat.types import (
    ChatEvent,
    ChatRequest,
    ChoiceFinished,
    Completed,
    Logprob,
    Message,
    PromptProcessed,
    Started,
    TextChunk,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)

Kind = Literal["thinking", "text", "call"]


@dataclass(slots=True)
class Part:
    kind: Kind
    number: int
    call: int = -1  # the call's index, for calls
    id: str = ""  # the call's
    name: str = ""  # the called function's
    pieces: list[str] = field(default_factory=list)
    logprobs: list[Logprob] = field(default_factory=list)
    key: str = field(default_factory=lambda: uuid.uuid4().hex)  # no other part has it
    open: bool = True

    @property
    def text(self) -> str:
        """The text, or the call's arguments."""
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Begun:
    part: Part


@dataclass(frozen=True, slots=True)
class Grown:
    part: Part
    piece: str
    logprobs: tuple[Logprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    part: Part


Step = Begun | Grown | Ended


class Parts:
    """Reads the events of an answer with one choice.

    `given` is the beginning of the answer that the request ends with: these APIs answer with what follows it.
    """

    def __init__(self, given: str = "") -> None:
        self.all: list[Part] = []
        self.end: ChoiceFinished | None = None
        self.done: Completed | None = None
        self.prompt_tokens = self.cached_tokens = 0
        self._open: Part | None = None
        self._given = len(given)  # characters of it that have not come yet

    @property
    def cut(self) -> bool:
        """Whether the answer ended because it had no more room."""
        return self.end is not None and self.end.reason in ("length", "model_length")

    def read(self, event: ChatEvent) -> list[Step]:
        match event:
            case TextDelta(text, _, logprobs):
                text = self._new(text)
                return self._grow("text", text, logprobs) if text or logprobs else []
            case ThinkingDelta(text, _, closed):
                steps = self._grow("thinking", text) if text else []
                ends = closed and self._open is not None and self._open.kind == "thinking"
                return [*steps, *self._close()] if ends else steps
            case ToolCallDelta():
                return self._call(event)
            case ChoiceFinished():
                self.end = event
                return self._close()
            case Started():
                self.prompt_tokens = event.prompt_tokens
            case PromptProcessed():
                self.cached_tokens = event.cached
            case Completed():
                self.done = event
                self.prompt_tokens, self.cached_tokens = event.prompt_tokens, cached_tokens(event)
        return []

    def _new(self, text: str) -> str:
        known, self._given = min(self._given, len(text)), max(0, self._given - len(text))
        return text[known:]

    def _call(self, delta: ToolCallDelta) -> list[Step]:
        steps: list[Step] = []
        if self._open is None or self._open.call != delta.index:
            steps = self._begin(Part("call", len(self.all), delta.index, delta.id, delta.name))
        return [*steps, *self._grow("call", delta.arguments)] if delta.arguments else steps

    def _grow(self, kind: Kind, piece: str, logprobs: tuple[Logprob, ...] = ()) -> list[Step]:
        part, steps = self._open, list[Step]()
        if part is None or part.kind != kind:
            part = Part(kind, len(self.all))
            steps = self._begin(part)
        part.pieces.append(piece)
        part.logprobs += logprobs
        return [*steps, Grown(part, piece, logprobs)]

    def _begin(self, part: Part) -> list[Step]:
        steps = self._close()
        self._open = part
        self.all.append(part)
        return [*steps, Begun(part)]

    def _close(self) -> list[Step]:
        part, self._open = self._open, None
        if part is None:
            return []
        part.open = False
        return [Ended(part)]


def given_answer(request: ChatRequest) -> str:
    """The beginning of the answer, where the request's last message is one."""
    last = request.messages[-1] if request.messages else None
    if last is None or last.role != "assistant" or last.tool_calls:
        return ""
    if isinstance(last.content, tuple):
        return "".join(chunk.text for chunk in last.content if isinstance(chunk, TextChunk))
    return last.content or ""


def late_instructions(messages: list[Message]) -> tuple[Message, ...]:
    """System messages behind the conversation's beginning as the user's.

    Agents remind the model of something that way. Mistral's prompts and most templates have no other place for it, and
    moved to the front it would change the whole prompt, so that nothing of it could be reused.
    """
    begun = False
    sorted_out = []
    for message in messages:
        system = message.role in ("system", "developer")
        begun = begun or not system
        sorted_out.append(message.model_copy(update={"role": "user"}) if system and begun else message)
    return tuple(sorted_out)
