"""What a column of the tab is made of, and what of it changes when its contender has got on."""

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from ggufrun.ui.beside.contender import Contender
from ggufrun.ui.beside.shown import figures, stage
from ggufrun.ui.shared import model_dropdown

FEWEST: Final = 2
MOST: Final = 4
_MATH: Final[list[dict[str, str | bool]]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": "\\[", "right": "\\]", "display": True},
    {"left": "\\(", "right": "\\)", "display": False},
]


@dataclass(frozen=True, slots=True)
class Column:
    """One model with its answer. `words` is the answer with the differences marked."""

    box: gr.Column
    model: gr.Dropdown
    stage: gr.HTML
    answer: gr.Markdown
    words: gr.HTML
    figures: gr.HTML

    @classmethod
    def made(cls, number: int) -> "Column":
        """Within the row of columns."""
        with gr.Column(visible=number <= FEWEST, min_width=260, elem_id=f"beside-{number}") as box:
            return cls(
                box=box,
                model=model_dropdown(f"Model {number}", elem_classes="beside-model"),
                stage=gr.HTML(elem_classes="beside-stage"),
                answer=gr.Markdown(line_breaks=True, latex_delimiters=_MATH, elem_classes="beside-answer"),
                words=gr.HTML(elem_classes="beside-words"),
                figures=gr.HTML(elem_classes="beside-figures"),
            )

    def changes(self, before: Contender | None, now: Contender) -> dict[Any, Any]:
        """Values of its components; {} where nothing is new."""
        if now == before:
            return {}
        found: dict[Any, Any] = {}
        if before is None or now.text != before.text:
            found[self.answer] = f"\n{now.text}"  # else Gradio takes the indentation of the first line from all
        for shown, of in ((self.stage, stage), (self.figures, figures)):
            if before is None or of(now) != of(before):
                found[shown] = of(now)
        return found
