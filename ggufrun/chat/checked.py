"""Answers that are checked before they count: sampled again where nobody has seen them yet, else refused at the end.

An answer that breaks its schema ends with SchemaNotSatisfied. Its tokens are counted all the same.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final, Protocol, Self, TypeVar

from ggufrun.chat.answer_check import AnswerCheck, Checkers, CheckTimeout, cut_short, incomplete
from ggufrun.chat.types import ChatEvent, ChoiceFinished, Completed, PromptProcessed, Started, TextDelta, ToolCallDelta
from ggufrun.engine.types import Stats
from ggufrun.errors import EngineBusy, SchemaNotSatisfied, cut
from ggufrun.remote_errors import RemoteBusy

ATTEMPTS: Final = 3  # of an answer that is not shown while it comes


class Repeatable(Protocol):
    """A request that is ready to be run, here or elsewhere."""

    @property
    def choices(self) -> int: ...

    def again(self, number: int, choices: int) -> Self:
        """The same for attempt `number`, from 0: with seeds that no choice has had, and never without chance."""


T = TypeVar("T", bound=Repeatable)
Attempt = Callable[[T], AsyncGenerator[ChatEvent, None]]  # runs all choices once


class _Choice:
    """One choice's attempt."""

    def __init__(self) -> None:
        self.events: list[ChatEvent] = []
        self.pieces: list[str] = []
        self.called = False
        self.wrong = self.hint = ""

    def read(self, event: ChatEvent) -> None:
        if type(event) is TextDelta:
            self.pieces.append(event.text)
        elif type(event) is ToolCallDelta:
            self.called = True

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    async def check(self, end: ChoiceFinished, check: AnswerCheck, checkers: Checkers) -> bool:
        """Whether the finished answer is right; else `wrong` says why not. A call instead of an answer is not checked.

        What a grammar enforces to its end is only ever cut by the budget or by a stop string. Raises CheckTimeout.
        """
        if self.called:
            return True
        if end.stop is not None and cut_short(self.text):
            self.wrong, self.hint = f"the stop string {cut(end.stop)!r} cut it", "Ask without stop."
        elif check.schema is not None:
            self.wrong = await checkers.wrong(check.schema, self.text)
        elif end.reason in ("length", "model_length"):
            self.wrong = incomplete(self.text)
        return not self.wrong

    def refused(self, attempts: int) -> SchemaNotSatisfied:
        return SchemaNotSatisfied(self.wrong, self.text, attempts, self.hint)


async def shown(
    attempt: Attempt[T], compiled: T, check: AnswerCheck, checkers: Checkers
) -> AsyncGenerator[ChatEvent, None]:
    """The events as they come. Raises SchemaNotSatisfied in the place of a bad choice's end."""
    choices = [_Choice() for _ in range(compiled.choices)]
    async with aclosing(attempt(compiled)) as events:
        async for event in events:
            if type(event) is TextDelta or type(event) is ToolCallDelta:
                choices[event.choice].read(event)
            elif type(event) is ChoiceFinished:
                choice = choices[event.choice]
                try:
                    right = await choice.check(event, check, checkers)
                except CheckTimeout as error:
                    choice.wrong, right = str(error), False
                if not right:
                    raise choice.refused(1)
            yield event


async def held(
    attempt: Attempt[T], compiled: T, check: AnswerCheck, checkers: Checkers
) -> AsyncGenerator[ChatEvent, None]:
    """The events of the first attempt of each choice that is right, once all are; the bad ones alone are run again.

    `Completed` counts the tokens of all attempts, and has the statistics of those that are shown.
    """
    good: dict[int, _Choice] = {}
    ends: list[Completed] = []
    order = list(range(compiled.choices))
    finals: dict[int, tuple[Completed, int]] = {}
    failed: SchemaNotSatisfied | None = None  # what the attempts so far come to
    for number in range(ATTEMPTS):
        run = _Run(order, check, checkers)
        try:
            async with aclosing(attempt(compiled.again(number, len(order)))) as events:
                async for event in events:
                    if passed := run.read(event, first=number == 0):
                        yield passed
        except (EngineBusy, RemoteBusy) as error:  # "try again later" would hide that there are answers, paid for
            if failed is None:
                raise
            raise failed from error
        assert run.completed is not None
        ends.append(run.completed)
        bad = await run.verdicts()
        finals |= {choice: (run.completed, at) for at, choice in enumerate(order)}
        good |= {choice: run.choices[choice] for choice in order if choice not in bad}
        if not bad:
            break
        order = sorted(bad)
        failed = run.choices[order[0]].refused(number + 1)
        if number + 1 == ATTEMPTS or run.hopeless:
            raise failed
    for choice in sorted(good):
        for event in good[choice].events:
            yield event
    yield _summed(ends, [finals[choice] for choice in range(compiled.choices)])


class _Run:
    """One attempt at some of the choices; the engine numbers them from 0."""

    def __init__(self, order: Sequence[int], check: AnswerCheck, checkers: Checkers) -> None:
        self._order, self._check, self._checkers = list(order), check, checkers
        self.choices = {choice: _Choice() for choice in order}
        self._ends: dict[int, ChoiceFinished] = {}
        self.completed: Completed | None = None
        self.hopeless = False  # checking takes too long, and will again

    def read(self, event: ChatEvent, *, first: bool) -> ChatEvent | None:
        """Keep the event; what may go out at once comes back."""
        if isinstance(event, Started | PromptProcessed):
            return event if first else None
        if isinstance(event, Completed):
            self.completed = event
            return None
        event = replace(event, choice=self._order[event.choice])
        choice = self.choices[event.choice]
        choice.events.append(event)
        choice.read(event)
        if isinstance(event, ChoiceFinished):
            self._ends[event.choice] = event
        return None

    async def verdicts(self) -> set[int]:
        """The choices that are wrong."""
        bad: set[int] = set()
        for number, choice in self.choices.items():
            try:
                right = await choice.check(self._ends[number], self._check, self._checkers)
            except CheckTimeout as error:
                choice.wrong, self.hopeless = str(error), True
                return {number}
            if not right:
                bad.add(number)
        return bad


def _summed(ends: Sequence[Completed], finals: Sequence[tuple[Completed, int]]) -> Completed:
    """The prompt counts once, as the first attempt found it: later ones find all of it in the cache."""
    last, found = ends[-1], ends[0].stats
    return replace(
        last,
        completion_tokens=sum(each.completion_tokens for each in ends),
        stats=tuple(_read_once(end.stats[at], found[choice]) for choice, (end, at) in enumerate(finals)),
        reasons=tuple(end.reasons[at] for end, at in finals),
        ttft_s=ends[0].ttft_s,
        context_used=max(each.context_used for each in ends),
    )


def _read_once(stats: Stats, found: Stats) -> Stats:
    return replace(stats, cached_tokens=found.cached_tokens, restored_tokens=found.restored_tokens)
