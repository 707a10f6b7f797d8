"""Answers that are checked before they count: sampled again where nobody has seen them yet, else refused at the end.

An answer that breaks its schema ends with SchemaNotSatisfied. Its tokens are counted all the same.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from ggufrun.chat.answer_check import AnswerCheck, Checker, CheckTimeout
from ggufrun.chat.compile import CompiledChat
from ggufrun.chat.types import ChatEvent, ChoiceFinished, Completed, PromptProcessed, Started, TextDelta, ToolCallDelta
from ggufrun.errors import SchemaNotSatisfied

ATTEMPTS: Final = 3  # of an answer that is not shown while it comes
WARMER: Final = 0.3  # the temperature of later attempts where it was 0: the same answer again would be no use

Attempt = Callable[[CompiledChat], AsyncGenerator[ChatEvent, None]]  # runs all choices once


class _Choice:
    """One choice's attempt."""

    def __init__(self) -> None:
        self.events: list[ChatEvent] = []
        self.pieces: list[str] = []
        self.called = False
        self.wrong = ""

    def read(self, event: ChatEvent) -> None:
        if type(event) is TextDelta:
            self.pieces.append(event.text)
        elif type(event) is ToolCallDelta:
            self.called = True

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    async def check(self, end: ChoiceFinished, check: AnswerCheck, checker: Checker) -> str:
        """What is wrong with the finished answer; "" if nothing is. A call instead of an answer is not checked.

        What a grammar enforces to its end is only ever cut by the budget, or by a stop string, which was asked for.
        """
        if self.called or (check.schema is None and end.reason not in ("length", "model_length")):
            self.wrong = ""
        else:
            self.wrong = await checker.wrong(self.text)
        return self.wrong


async def shown(attempt: Attempt, compiled: CompiledChat, check: AnswerCheck) -> AsyncGenerator[ChatEvent, None]:
    """The events as they come. Raises SchemaNotSatisfied in the place of a bad choice's end."""
    checker = Checker(check)
    choices = [_Choice() for _ in range(compiled.choices)]
    try:
        async with aclosing(attempt(compiled)) as events:
            async for event in events:
                if type(event) is TextDelta or type(event) is ToolCallDelta:
                    choices[event.choice].read(event)
                elif type(event) is ChoiceFinished:
                    choice = choices[event.choice]
                    if wrong := await _verdict(choice, event, check, checker):
                        raise SchemaNotSatisfied(wrong, choice.text, 1)
                yield event
    finally:
        await checker.close()


async def held(attempt: Attempt, compiled: CompiledChat, check: AnswerCheck) -> AsyncGenerator[ChatEvent, None]:
    """The events of the first attempt of each choice that is right, once all are; the bad ones alone are run again.

    `Completed` counts the tokens of all attempts, and has the statistics of those that are shown.
    """
    checker = Checker(check)
    good: dict[int, _Choice] = {}
    ends: list[Completed] = []
    order = list(range(compiled.choices))
    finals: dict[int, tuple[Completed, int]] = {}
    try:
        for number in range(ATTEMPTS):
            run = _Run(order, check, checker)
            async with aclosing(attempt(_again(compiled, number, len(order)))) as events:
                async for event in events:
                    if passed := run.read(event, first=number == 0):
                        yield passed
            assert run.completed is not None
            ends.append(run.completed)
            bad = await run.verdicts()
            finals |= {choice: (run.completed, at) for at, choice in enumerate(order)}
            good |= {choice: run.choices[choice] for choice in order if choice not in bad}
            if not bad:
                break
            order = sorted(bad)
            if number + 1 == ATTEMPTS or run.hopeless:
                first = run.choices[order[0]]
                raise SchemaNotSatisfied(first.wrong, first.text, number + 1)
    finally:
        await checker.close()
    for choice in sorted(good):
        for event in good[choice].events:
            yield event
    yield _summed(ends, [finals[choice] for choice in range(compiled.choices)])


class _Run:
    """One attempt at some of the choices; the engine numbers them from 0."""

    def __init__(self, order: Sequence[int], check: AnswerCheck, checker: Checker) -> None:
        self._order, self._check, self._checker = list(order), check, checker
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
                wrong = await choice.check(self._ends[number], self._check, self._checker)
            except CheckTimeout as error:
                choice.wrong, self.hopeless = str(error), True
                return {number}
            if wrong:
                bad.add(number)
        return bad


async def _verdict(choice: _Choice, end: ChoiceFinished, check: AnswerCheck, checker: Checker) -> str:
    try:
        return await choice.check(end, check, checker)
    except CheckTimeout as error:
        return str(error)


def _again(compiled: CompiledChat, number: int, choices: int) -> CompiledChat:
    """The request for a later attempt: with seeds that no choice has had, and never without chance."""
    if number == 0:
        return compiled
    sampling = compiled.sampling
    seed = None if sampling.seed is None else sampling.seed + number * compiled.choices
    sampling = replace(sampling, seed=seed, temperature=sampling.temperature or WARMER)
    return replace(compiled, sampling=sampling, choices=choices)


def _summed(ends: Sequence[Completed], finals: Sequence[tuple[Completed, int]]) -> Completed:
    """The prompt counts once: later attempts find it in the cache."""
    last = ends[-1]
    return replace(
        last,
        completion_tokens=sum(each.completion_tokens for each in ends),
        stats=tuple(end.stats[at] for end, at in finals),
        reasons=tuple(end.reasons[at] for end, at in finals),
        ttft_s=ends[0].ttft_s,
        context_used=max(each.context_used for each in ends),
    )
