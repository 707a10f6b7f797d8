"""How the streams of OpenAI's shape end: each choice in its chunk, and the last of them has the usage, or the error."""

from collections.abc import Callable, Iterator

from ggufrun.api.calls.usage import Json, routed, timings, usage, usage_of
from ggufrun.api.errors import envelope_of
from ggufrun.chat.types import ChoiceFinished, Completed, Meter, Price, PromptProcessed, Started

Line = Callable[[list[Json], Json | None], str]  # of choices and what stands beside them


class StreamEnd:
    """Keeps the choices' ends until all have come. `end` makes the JSON of a choice that ends, `line` a chunk's line.

    `choices` is what was asked for, checked or not.
    """

    def __init__(
        self,
        choices: int,
        line: Line,
        end: Callable[[ChoiceFinished], Json],
        meter: Meter,
        price: Price | None,
        *,
        include_usage: bool,
    ) -> None:
        self._choices, self._line, self._end = choices, line, end
        self._meter, self._price, self._include_usage = meter, price, include_usage
        self._ended: set[int] = set()
        self._waiting: list[ChoiceFinished] = []
        self._prompt_tokens = self._cached_tokens = 0

    def lines(self, event: Started | PromptProcessed | ChoiceFinished | Completed) -> Iterator[str]:
        """What the event lets out: the ends, or prompt progress as a keep-alive comment."""
        match event:
            case ChoiceFinished(choice=choice):
                self._ended.add(choice)
                self._waiting.append(event)
            case Started():
                self._prompt_tokens = event.prompt_tokens
            case PromptProcessed():
                self._cached_tokens = event.cached
                yield f": {event.done} of {event.total} prompt tokens processed"
            case Completed():
                counts = usage(event, self._price)
                yield from self._last_chunks({"usage": counts, "timings": timings(event), **routed(self._meter)})
                if self._include_usage:
                    yield self._line([], {"usage": counts})

    def failure(self, error: Exception) -> Iterator[str]:
        """What ends a stream that cannot go on: both dialects' SDKs see the error in the last chunk.

        Choices that did end keep their reason. The usage is what had been used by then.
        """
        self._waiting += [ChoiceFinished("error", at) for at in range(self._choices) if at not in self._ended]
        used = self._meter
        prompt, cached = used.prompt_tokens or self._prompt_tokens, used.cached_tokens or self._cached_tokens
        counts = usage_of(prompt, used.completion_tokens, cached, self._price)
        yield from self._last_chunks({"usage": counts, "error": envelope_of(error)["error"], **routed(self._meter)})

    def _last_chunks(self, extra: Json) -> Iterator[str]:
        for number, end in enumerate(self._waiting, 1):
            yield self._line([self._end(end)], extra if number == len(self._waiting) else None)
        self._waiting = []
