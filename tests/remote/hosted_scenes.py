"""What the stand-in of the hosted API answers: the last user message names the scene"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tests.remote.hosted_wire import Request, User, words_of

WEATHER: Final = '{"city": "Paris", "days": 2}'
NOTE: Final = '{"title": "Tea", "stars": 5}'
STORY_PIECES: Final = 100_000  # of "slow": no test reads to its end


@dataclass(frozen=True, slots=True)
class Spoken:
    """A call that the model makes. `pieces`: its arguments, in as many fragments."""

    id: str
    name: str
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """One answer. `thoughts` come as thinking chunks, `pieces` as text, each in a chunk of its own."""

    pieces: Sequence[str] = ()
    thoughts: Sequence[str] = ()
    calls: Sequence[Spoken] = ()
    finish: Literal["stop", "length", "model_length", "tool_calls", "error"] = "stop"
    pause_s: float = 0.0  # before each piece
    cut: bool = False  # the connection ends behind the pieces, with nothing said

    @property
    def tokens(self) -> int:
        return len(self.thoughts) + len(self.pieces) + sum(1 + len(call.pieces) for call in self.calls)


@dataclass(frozen=True, slots=True)
class Fault:
    """An HTTP error that is answered instead. `body` is sent as JSON where it is no text."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


def said(status: int, type_: str, message: str, code: str | None = None, **headers: str) -> Fault:
    body = {
        "object": "error",
        "message": message,
        "type": type_,
        "param": None,
        "code": code,
        "raw_status_code": status,
    }
    return Fault(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


UNAUTHORIZED: Final = Fault(401, {"detail": "Unauthorized"})
NOT_ALLOWED: Final = said(403, "forbidden", "You are not allowed to use this model.")
NOT_PAID: Final = said(402, "payment_required", "Your account has no credit left.")
LIMITED: Final = said(429, "rate_limited", "Requests rate limit exceeded", "1300", Retry_After="0.05")
LIMITED_LONG: Final = said(429, "rate_limited", "Requests rate limit exceeded", "1300", Retry_After="3600")
OVERLOADED: Final = said(503, "service_unavailable", "Service unavailable.")
BROKEN: Final = Fault(502, "<html><body><h1>502 Bad Gateway</h1></body></html>")

SCENES: Final[Mapping[str, Scene]] = {
    "hello": Scene(("Hel", "lo", " there", "!")),
    "think": Scene(("It is", " 4."), thoughts=("Two and", " two", ".")),
    "weather": Scene(calls=[Spoken("a1B2c3D4e", "weather", (WEATHER,))], finish="tool_calls"),
    "weather in pieces": Scene(
        calls=[Spoken("a1B2c3D4e", "weather", (WEATHER[:9], WEATHER[9:17], WEATHER[17:]))], finish="tool_calls"
    ),
    "two calls": Scene(
        calls=[Spoken("a1B2c3D4e", "weather", (WEATHER,)), Spoken("f5G6h7I8j", "clock", ("{}",))], finish="tool_calls"
    ),
    "note": Scene((NOTE[:10], NOTE[10:])),
    "no note": Scene(("I would", " rather not.")),
    "long": Scene(("so", " far"), finish="length"),
    "full": Scene(("so", " far"), finish="model_length"),
    "failed": Scene(("so", " far"), finish="error"),
    "cut": Scene(("so", " far"), cut=True),
    "slow": Scene(("word ",) * STORY_PIECES, pause_s=0.02),
}


def scene_of(request: Request) -> Scene:
    """What a request is answered with: after a tool's result a sentence about it, whatever was asked before."""
    if request.messages[-1].role == "tool":
        return Scene(("Sunny", ": ", words_of(request.messages[-1])))
    asked = [words_of(message) for message in request.messages if isinstance(message, User)]
    return SCENES.get(asked[-1], SCENES["hello"]) if asked else SCENES["hello"]
