"""Who looks at a route's finished answers, and what is shown to them. What a watcher does with them is its own."""

from dataclasses import dataclass
from typing import Protocol

from ggufrun.chat.types import AnyRequest, ChatEvent


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer, as the client has had it. Times in seconds, from when the route took the request.

    `events` begin with `Started` and end with `Completed`; log-probabilities that only the route had asked for are not
    in them. `spent_usd` is all that the answer cost, attempts that were thrown away included.
    """

    route: str
    engine: str
    why: str
    events: tuple[ChatEvent, ...]
    prompt_tokens: int
    completion_tokens: int
    ttft_s: float | None
    total_s: float
    spent_usd: float


class Watcher(Protocol):
    """Called on the event loop, and never awaited: what takes its time belongs into a task or thread of its own.

    Answers that fail or are left by their client are not shown.
    """

    def wants(self, request: AnyRequest) -> bool:
        """Whether to show it the answer to this request. Asked once for each, before anything is answered: only then
        are events kept."""

    def answered(self, request: AnyRequest, answer: Answered) -> None:
        """An answer that it wanted has ended, and its client has the last event."""


class NoWatcher:
    """Implements `Watcher`: sees nothing."""

    def wants(self, request: AnyRequest) -> bool:
        return False

    def answered(self, request: AnyRequest, answer: Answered) -> None:
        return None
