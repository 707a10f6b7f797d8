"""The buttons between prompt and answers: running, columns, and how the answers are looked at."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ggufrun.ui.beside.columns import FEWEST, MOST


@dataclass(frozen=True, slots=True)
class Bar:
    run: gr.Button
    stop: gr.Button
    add: gr.Button
    remove: gr.Button
    view: gr.Radio  # the style sheet reads it
    reference: gr.Dropdown  # the place of the column that the others are compared with
    copy: gr.Button

    @classmethod
    def made(cls) -> "Bar":
        with gr.Row(elem_id="beside-bar"):
            return cls(
                run=gr.Button("Run", variant="primary", size="sm", scale=0, min_width=90, elem_id="beside-run"),
                stop=_button("Stop", "beside-stop", 90, interactive=False),
                add=_button("Add column", "beside-add", 110),
                remove=_button("Remove column", "beside-remove", 130, interactive=False),
                view=gr.Radio(
                    ["Answers", "Differences"],
                    value="Answers",
                    interactive=True,
                    show_label=False,
                    container=False,
                    min_width=210,
                    elem_id="beside-view",
                ),
                reference=gr.Dropdown(
                    _named(FEWEST),
                    value=0,
                    label="Compared with",
                    container=False,
                    min_width=150,
                    scale=0,
                    elem_id="beside-reference",
                ),
                copy=_button("Copy as Markdown", "beside-copy", 150),
            )

    def runs(self, running: bool) -> dict[Any, Any]:
        return {self.run: gr.update(interactive=not running), self.stop: gr.update(interactive=running)}

    def counts(self, columns: int, reference: int | None) -> dict[Any, Any]:
        """For so many columns; a reference that is there no more is the first."""
        kept = reference if reference is not None and reference < columns else 0
        return {
            self.add: gr.update(interactive=columns < MOST),
            self.remove: gr.update(interactive=columns > FEWEST),
            self.reference: gr.update(choices=_named(columns), value=kept),
        }


def _button(label: str, elem_id: str, min_width: int, *, interactive: bool = True) -> gr.Button:
    return gr.Button(label, size="sm", scale=0, min_width=min_width, interactive=interactive, elem_id=elem_id)


def _named(columns: int) -> list[tuple[str, int]]:
    return [(f"beside column {number}", number - 1) for number in range(1, columns + 1)]
