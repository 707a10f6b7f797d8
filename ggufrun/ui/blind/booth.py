"""The row of the blind vote: whether to hide the names, three votes, and what shows them again"""

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from ggufrun.ui.blind.ballot import Ballot, Vote
from ggufrun.ui.blind.shown import hidden

_CONTENDERS: Final = 2


@dataclass(frozen=True, slots=True)
class Booth:
    blind: gr.Checkbox
    votes: dict[Vote, gr.Button]
    reveal: gr.Button
    undo: gr.Button
    said: gr.HTML
    ballot: gr.State

    @classmethod
    def made(cls) -> "Booth":
        with gr.Row(elem_id="blind"):
            blind = gr.Checkbox(False, label="Blind vote", elem_id="blind-on", min_width=110)
            left, tie, right = (
                _button(label, f"blind-{vote}")
                for label, vote in (("← Left is better", "left"), ("Tie", "tie"), ("Right is better →", "right"))
            )
            reveal, undo = _button("Show names", "blind-reveal"), _button("Take vote back", "blind-undo")
        said = gr.HTML(elem_id="blind-said")
        return cls(blind, {"left": left, "tie": tie, "right": right}, reveal, undo, said, gr.State(Ballot()))

    @property
    def inputs(self) -> set[Any]:
        return {self.blind, self.ballot}

    @property
    def outputs(self) -> list[Any]:
        return [*self.votes.values(), self.reveal, self.undo, self.said]

    def lacks(self, names: list[str | None]) -> str:
        """What has to be done before a blind race; "" where nothing has."""
        if len(names) != _CONTENDERS:
            return "A blind vote is between two: remove the other columns."
        return "A blind vote is between two different models." if names[0] == names[1] else ""

    def state(self, ballot: Ballot) -> dict[Any, Any]:
        """The buttons as they may be pressed now; while names are hidden, the line that says so."""
        changes: dict[Any, Any] = dict.fromkeys(self.votes.values(), gr.update(interactive=ballot.votable))
        changes[self.reveal] = gr.update(interactive=ballot.hides)
        changes[self.undo] = gr.update(interactive=bool(ballot.vote))
        return changes | ({self.said: hidden(ballot)} if ballot.hides else {})


def _button(label: str, elem_id: str) -> gr.Button:
    return gr.Button(label, size="sm", scale=0, min_width=100, interactive=False, elem_id=elem_id)
