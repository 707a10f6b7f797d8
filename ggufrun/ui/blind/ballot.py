"""One blind vote of one browser tab: who stands where, and whether that is still hidden. No HTTP, no Gradio"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import Literal

from ggufrun.ui.beside.contender import Contender, Standing

Vote = Literal["left", "tie", "right"]
Verdict = Literal["a", "b", "tie"]


@dataclass(slots=True)
class Ballot:
    """Changed in place, and never sent to a browser. `names`: left and right; empty without a blind race."""

    names: tuple[str, ...] = ()
    prompt: str = ""
    hides: bool = False
    standing: Standing | None = None  # of the race, as it really is
    vote: str = ""  # the id of the one that was given
    race: int = 0  # counts them: what was asked of the server in one says nothing about the next

    def begin(self, names: Sequence[str], prompt: str) -> Sequence[str]:
        """The models, shuffled: who is to stand on the left comes first."""
        self.names = tuple(SystemRandom().sample(names, len(names)))
        self.prompt, self.hides, self.standing, self.vote = prompt, True, None, ""
        self.race += 1
        return self.names

    def end(self) -> None:
        """There is no blind race any more."""
        self.names, self.hides, self.standing, self.vote = (), False, None, ""
        self.race += 1

    @property
    def votable(self) -> bool:
        """Whether there is something of both to be judged, and nobody knows whose."""
        if not self.hides or self.standing is None or self.same:
            return False
        return all(each.text.strip() for each in self.standing.contenders)

    @property
    def mute(self) -> bool:
        """Whether one has ended without a word: there are no two answers to choose from."""
        contenders = self.standing.contenders if self.standing is not None else ()
        return any(each.over and not each.text.strip() for each in contenders)

    @property
    def same(self) -> bool:
        """Whether both have ended with the same words: nobody could tell them apart."""
        if self.standing is None or not all(each.over for each in self.standing.contenders):
            return False
        return len({tuple(each.text.split()) for each in self.standing.contenders}) == 1

    def verdict(self, vote: Vote) -> tuple[str, str, Verdict]:
        """As the server keeps it."""
        left, right = self.names
        verdicts: dict[Vote, Verdict] = {"left": "a", "right": "b", "tie": "tie"}
        return left, right, verdicts[vote]

    def seen(self, standing: Standing) -> tuple[Contender, ...]:
        """Its contenders, as they may be shown."""
        if not self.names:
            return standing.contenders
        self.standing = standing
        if any(each.stage == "failed" for each in standing.contenders):
            self.hides = False  # there is nothing to vote on, and somebody has to know why
        return veiled(standing.contenders) if self.hides else standing.contenders


def veiled(contenders: Sequence[Contender]) -> tuple[Contender, ...]:
    """Without what tells them apart, beside what they write: neither gets ahead, and no figures are known.

    A smaller quant is faster, and what was loaded before begins first.
    """
    writing = [len(each.text) for each in contenders if not each.over]
    shown = min(writing, default=None)
    over = shown is None
    stage = max((each.stage for each in contenders), key=("done", "stopped").index) if over else "answering"
    if shown == 0:
        stage = "waiting"
    texts = [each.text if shown is None else each.text[:shown] for each in contenders]
    return tuple(replace(Contender("", stage=stage), text=text) for text in texts)
