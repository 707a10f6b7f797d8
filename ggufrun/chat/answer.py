"""The state of one request while it is answered: engine events in, chat events out, and the sums at the end."""

import time
from collections.abc import Sequence

from ggufrun.chat.compile import CompiledChat
from ggufrun.chat.output import ChoiceOutput
from ggufrun.chat.types import ChatEvent, ChoiceEnd, ChoiceFinished, Completed, Meter, PromptProcessed
from ggufrun.engine.types import EngineEvent, Failed, Finished, FinishReason, PromptProgress, Stats, Tokens
from ggufrun.engine.vocabulary import Vocabulary
from ggufrun.errors import EngineError

_ENDS: dict[FinishReason, ChoiceEnd] = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.CONTEXT: "model_length",
}


class Choice:
    """One of the answer's choices."""

    __slots__ = ("ended", "output", "read", "reason", "stats")

    def __init__(self, output: ChoiceOutput) -> None:
        self.output = output
        self.read = 0  # tokens
        self.ended = False  # its ChoiceFinished has gone out
        self.reason = FinishReason.STOP
        self.stats: Stats | None = None  # the engine's, once it has finished


class Answer:
    """Reads the engine's events of all choices of one request."""

    def __init__(
        self, compiled: CompiledChat, vocabulary: Vocabulary, context: int, started: float, meter: Meter | None = None
    ) -> None:
        self._prompt_tokens, self._context, self._started = len(compiled.prompt), context, started
        self._meter = meter or Meter()
        self._meter.prompt_tokens = self._prompt_tokens
        self._sampled_again = self._meter.ttft_s is not None
        self._first_token: float | None = None
        self.choices = [
            Choice(
                ChoiceOutput(
                    vocabulary,
                    compiled.style,
                    stops=compiled.stops,
                    choice=number,
                    skip_spaces=compiled.skip_spaces,
                    single_call=compiled.single_call,
                )
            )
            for number in range(compiled.choices)
        ]
        self.open = len(self.choices)  # choices whose end has not gone out

    def read(self, number: int, event: EngineEvent) -> Sequence[ChatEvent]:
        """What this event lets out. Errors are asked for with `failure`, before."""
        choice = self.choices[number]
        if type(event) is Tokens:
            if choice.ended:
                return ()
            if self._first_token is None:
                self._first_token = time.perf_counter()
                if not self._sampled_again:
                    self._meter.ttft_s = self._first_token - self._started
            choice.read += len(event.tokens)
            self._meter.completion_tokens += len(event.tokens)
            events: list[ChatEvent] = [*choice.output.feed(event.tokens, event.logprobs)]
            if choice.output.stopped:
                events.append(self._end(number, choice))
            return events
        if type(event) is PromptProgress:
            if not self._sampled_again:
                self._meter.cached_tokens = event.cached
            return (PromptProcessed(event.done, event.total, event.cached),) if number == 0 else ()
        if type(event) is Finished:
            choice.stats = event.stats
            return () if choice.ended else self._finish(number, choice, event.reason)
        return ()

    def failure(self, number: int, event: EngineEvent) -> EngineError | None:
        """The error that this event stands for, if it does."""
        if type(event) is Failed:
            return event.error or EngineError(event.message)
        cancelled = type(event) is Finished and event.reason is FinishReason.CANCELLED
        if cancelled and not self.choices[number].ended:
            return EngineError("The answer was cancelled before it was complete.", "Send the request again.")
        return None

    def rest(self, number: int) -> Sequence[ChatEvent]:
        """What is held back of a choice that has failed."""
        choice = self.choices[number]
        return () if choice.ended else choice.output.finish()

    def completed(self) -> Completed:
        """The last event. A choice whose engine statistics have not come is counted by what was read of it."""
        now = time.perf_counter()
        stats = tuple(each.stats or Stats(self._prompt_tokens, each.read) for each in self.choices)
        # Past a stop string the engine may have gone on for some tokens that no one has seen.
        counts = [
            each.read if each.output.stopped else stat.completion_tokens
            for each, stat in zip(self.choices, stats, strict=True)
        ]
        return Completed(
            prompt_tokens=self._prompt_tokens,
            completion_tokens=sum(counts),
            stats=stats,
            ttft_s=(self._first_token or now) - self._started,
            total_s=now - self._started,
            context_used=self._prompt_tokens + max(counts),
            context=self._context,
            reasons=tuple(each.reason for each in self.choices),
        )

    def _finish(self, number: int, choice: Choice, reason: FinishReason) -> Sequence[ChatEvent]:
        events: list[ChatEvent] = [*choice.output.finish()]
        if not choice.output.stopped:
            choice.reason = reason
        events.append(self._end(number, choice))
        return events

    def _end(self, number: int, choice: Choice) -> ChoiceFinished:
        choice.ended = True
        self.open -= 1
        if choice.reason is FinishReason.STOP and choice.output.called:
            return ChoiceFinished("tool_calls", number)
        return ChoiceFinished(_ENDS[choice.reason], number, choice.output.found_stop)
