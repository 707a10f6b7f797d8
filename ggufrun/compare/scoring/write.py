"""Writes greedy answers, up to eight at once, and sees where they leave the reference's"""

from collections.abc import Iterator, Sequence
from typing import Final

from ggufrun.compare.scoring.answer import Answer, others, written
from ggufrun.compare.scoring.contexts import Contexts, padded
from ggufrun.compare.scoring.decoding import Tick, feed, step
from ggufrun.compare.scoring.distribution import Distribution
from ggufrun.compare.scoring.files import Written
from ggufrun.engine.backend import Backend, Run
from ggufrun.errors import InputError

AT_ONCE: Final = 8


def write(contexts: Contexts, prompts: Sequence[list[int]], most: int, follow: Written | None, tick: Tick) -> Written:
    """Answers of `most` tokens at most. `follow`: the reference's answers to the same prompts."""
    if not all(prompts):
        raise InputError("A prompt has no tokens.", "Leave it out.")
    if follow is not None and len(follow.end) != len(prompts):
        raise InputError("The reference's answers are to other prompts.", "Let the reference write again.")
    along = others(follow) if follow is not None else [None] * len(prompts)
    answers = [Answer(prompt, other) for prompt, other in zip(prompts, along, strict=True)]
    done = 0
    for group in _groups(answers, most, contexts.plan.context):
        backend = contexts.empty(_cells(group, most), sequences=len(group), apart=True)
        for tokens in _write_together(backend, group, most):
            tick(done + tokens, len(answers) * most)
        done += len(group) * most
        tick(done, len(answers) * most)
    return written(answers)


def _write_together(backend: Backend, group: Sequence[Answer], most: int) -> Iterator[int]:
    """Yields the tokens so far."""
    for seq, answer in enumerate(group):  # alone, so that a prompt's logits do not depend on what is beside it
        feed(backend, seq, answer.prompt)
        answer.go_on(Distribution.of(backend.logits(0)), most, backend.is_end)
    while going := [(seq, answer) for seq, answer in enumerate(group) if not answer.is_done]:
        step(backend, [_next(seq, answer) for seq, answer in going])
        for row, (_, answer) in enumerate(going):
            answer.go_on(Distribution.of(backend.logits(row)), most, backend.is_end)
        yield sum(len(answer.tokens) for answer in group)


def _next(seq: int, answer: Answer) -> Run:
    return Run(seq, len(answer.prompt) + len(answer.tokens) - 1, answer.tokens[-1:], 1)


def _groups(answers: Sequence[Answer], most: int, context: int) -> Iterator[list[Answer]]:
    """Groups of about one size that fit into the context; an answer that does not is alone."""
    count = -(-len(answers) // AT_ONCE)
    size = -(-len(answers) // max(1, count))
    group: list[Answer] = []
    for answer in answers:
        larger = [*group, answer]
        if group and (len(group) == size or len(larger) * padded(_cells(larger, most)) > context):
            yield group
            group = []
        group.append(answer)
    if group:
        yield group


def _cells(group: Sequence[Answer], most: int) -> int:
    """Of the longest."""
    return max(len(each.prompt) for each in group) + most
