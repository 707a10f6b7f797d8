"""Answers that no random model gives, played on a real socket: the last message of a request names the scene."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from anyio.from_thread import start_blocking_portal

from ggufrun.chat.types import (
    AnyRequest,
    ChatEvent,
    ChatRequest,
    ChoiceFinished,
    Completed,
    Meter,
    ModelInfo,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
)
from ggufrun.engine.types import Stats
from ggufrun.errors import (
    BadToolCall,
    EngineBusy,
    EngineCrashed,
    EngineError,
    Forbidden,
    MessageOrder,
    ModelLoading,
    ModelNotFound,
    OutOfRange,
    PromptTooLong,
    QuotaUsed,
    SchemaNotSatisfied,
    Unauthorized,
)
from tests.api.scripted import PlayedModel, listening
from tests.fakes import Scripted

Script = Sequence[ChatEvent | Exception | None]

START = Started(7, 100)
DONE = Completed(7, 5, (Stats(7, 5, generation_s=0.5),), 0.1, 0.6, 12, 100)
FINE: Script = (START, TextDelta("fine"), ChoiceFinished("stop"), DONE)
BUG = "/home/someone/secret.py"

ERRORS: Mapping[str, Exception] = {
    "400 order": MessageOrder("Expected last role User but got assistant.", "", "messages"),
    "400 call": BadToolCall("The id is not known.", "", "messages.1.tool_call_id"),
    "400 long": PromptTooLong(900, 100),
    "401": Unauthorized(given=True),
    "403": Forbidden("The key may not use this model.", "Ask for another one."),
    "404": ModelNotFound("nothing", ["played"]),
    "422": OutOfRange("temperature is 9.", "It must be from 0 to 2.", "temperature"),
    "422 schema": SchemaNotSatisfied("/a is not unique", '{"a": [1, 1]}', 3),
    "429": QuotaUsed("team", 1000, 1200, 3600),
    "500": EngineError("llama_decode failed.", "Load the model again."),
    "500 bug": RuntimeError(BUG),
    "503": EngineCrashed("signal 9", restarting=False),
}
CODES = {"400 order": "3230", "400 call": "3280", "400 long": "context_length_exceeded", "401": "invalid_api_key",
         "422 schema": "schema_not_satisfied", "429": "1300"}  # fmt: skip
PARAMS = {"400 order": "messages", "400 call": "messages.1.tool_call_id", "400 long": "messages", "422": "temperature",
          "422 schema": "response_format"}  # fmt: skip
# Each time that a scene is asked for, the next of its scripts is played; the last one again and again.
SCENES: Mapping[str, Sequence[Script]] = {
    "hello": [FINE],
    "think": [
        (START, ThinkingDelta("hm"), ThinkingDelta(" hm", closed=True), TextDelta("yes"), TextDelta("!"),
         ChoiceFinished("stop"), DONE),
    ],
    "two calls": [
        (START, ToolCallDelta(0, "abcdefghi", "look", ""), ToolCallDelta(0, "", "", '{"at": '),
         ToolCallDelta(0, "", "", '"x"}'), ToolCallDelta(1, "jklmnopqr", "find", ""),
         ToolCallDelta(1, "", "", '{"in": ["y", 2]}'), ChoiceFinished("tool_calls"), DONE),
    ],
    "break": [(START, TextDelta("so far"), EngineCrashed("signal 9"))],
    "break by a bug": [(START, TextDelta("so far"), RuntimeError(BUG))],
    "full": [(START, TextDelta("so far"), ChoiceFinished("model_length"), DONE)],
    "wait": [(START, TextDelta("so far"), None)],
    "busy": [(EngineBusy(3),), FINE],
    "loading": [(ModelLoading("played", 1),), FINE],
    **{name: [(error,)] for name, error in ERRORS.items()},
}  # fmt: skip


def sentence_of(name: str) -> str:
    """What the client may read of an error."""
    return "The server failed; its log has the details." if name == "500 bug" else str(ERRORS[name])


@dataclass
class Stage(Scripted):
    """Implements `ChatModel` with the scenes."""

    asked: Counter[str] = field(default_factory=Counter)
    requests: list[AnyRequest] = field(default_factory=list)
    playing: list[PlayedModel] = field(default_factory=list)

    @property
    def info(self) -> ModelInfo:
        return ModelInfo("played", 100, 100, 256, 1000, "scenes", aliases=("house/played",))

    def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
        name = _scene(request)
        script = SCENES[name][min(self.asked[name], len(SCENES[name]) - 1)]
        self.asked[name] += 1
        self.requests.append(request)
        self.playing.append(PlayedModel(script))
        return self.playing[-1].complete(request, meter)


def _scene(request: AnyRequest) -> str:
    text = request.messages[-1].content if isinstance(request, ChatRequest) else request.prompt
    return text if isinstance(text, str) and text in SCENES else "hello"


@contextmanager
def on_stage(stage: Stage) -> Iterator[str]:
    """The address of a server that plays the scenes, for clients that block."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(listening(stage)) as client:
        yield str(client.base_url).rstrip("/")
