"""Greedy answers side by side, for the page: where they part, and what both models thought there"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ggufrun.compare.report.ties import compared
from ggufrun.compare.results import Divergence, Greedy, Report
from ggufrun.figures import percent


@dataclass(frozen=True, slots=True)
class Split:
    """An answer in three: as the other one, the token where they part, and the rest."""

    before: str
    mark: str
    after: str


@dataclass(frozen=True, slots=True)
class Beside:
    """A row's answer beside the reference's. `parting`: sentences about the place; none where the two are the same."""

    row: str
    agreed: str
    reference: Split
    answer: Split
    parting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prompt:
    text: str
    answers: tuple[Beside, ...]
    same: tuple[str, ...]  # rows that answer as the reference does, to the end
    reference: str


def prompts(report: Report) -> tuple[Prompt, ...]:
    """In the order in which they were asked."""
    rows = [row for row in compared(report.rows) if row.name != report.reference]
    texts = dict.fromkeys(each.prompt for row in rows for each in row.greedy)
    return tuple(_prompt(text, [(row.name, each) for row in rows for each in row.greedy if each.prompt == text], report)
                 for text in texts)  # fmt: skip


def _prompt(text: str, answers: Sequence[tuple[str, Greedy]], report: Report) -> Prompt:
    other = tuple(_beside(name, each, report.reference) for name, each in answers if each.divergence)
    same = tuple(name for name, each in answers if not each.divergence)
    return Prompt(text, other, same, answers[0][1].reference)


def _beside(name: str, answer: Greedy, reference: str) -> Beside:
    parting = answer.divergence
    if parting is None:
        raise ValueError("these are the same")
    at = parting_place(answer.reference, answer.answer, parting)
    return Beside(
        row=name,
        agreed=f"the same for {answer.agreed:,} of {answer.tokens:,} tokens",
        reference=_split(answer.reference, at, parting.reference_text),
        answer=_split(answer.answer, at, parting.text),
        parting=tuple(_sentences(parting, reference, name)),
    )


def parting_place(reference: str, answer: str, parting: Divergence) -> int:
    """Characters before the tokens where they part. Tokens may begin alike, and part of a letter has no character."""
    shorter = min(len(reference), len(answer))
    most = next((place for place in range(shorter) if reference[place] != answer[place]), shorter)
    longest = max(len(parting.reference_text), len(parting.text))
    for at in range(most, max(most - longest, -1), -1):
        if reference.startswith(parting.reference_text, at) and answer.startswith(parting.text, at):
            return at
    return most


def _split(text: str, at: int, token: str) -> Split:
    end = at + len(token) if text.startswith(token, at) else at
    return Split(text[:at], text[at:end], text[end:])


def _sentences(parting: Divergence, reference: str, name: str) -> Iterator[str]:
    """`Q8_0: “ scatter” 61 %, “ bend” 22 %`"""
    own, other = _token(parting.reference_text), _token(parting.text)
    unkept = parting.p_reference_other is None
    less = "a probability that was not kept" if unkept else percent(parting.p_reference_other or 0)
    yield f"{reference}: {own} {percent(parting.p_reference_own)}, {other} {less}"
    yield f"{name}: {other} {percent(parting.p_own)}, {own} {percent(parting.p_of_reference)}"


def _token(text: str) -> str:
    return f"“{text}”" if text else "the end"
