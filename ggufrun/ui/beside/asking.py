"""How the contenders are asked: the prompt, the dice, and whether one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ggufrun.ui.beside.question import Question


@dataclass(frozen=True, slots=True)
class Asking:
    prompt: gr.Textbox
    chats: gr.Checkbox  # with the chat's settings
    same: gr.Checkbox  # one seed for all
    seed: gr.Number
    greedy: gr.Checkbox
    longest: gr.Number
    apart: gr.Checkbox

    @classmethod
    def made(cls) -> "Asking":
        prompt = gr.Textbox(
            label="Prompt", lines=1, max_lines=10, placeholder="One prompt for all models", elem_id="beside-prompt"
        )
        with gr.Row(elem_id="beside-how"):
            return cls(
                prompt=prompt,
                chats=gr.Checkbox(True, label="The chat's settings", elem_id="beside-chats"),
                same=gr.Checkbox(True, label="Same dice", elem_id="beside-same"),
                seed=gr.Number(1, label="Seed", precision=0, minimum=0, min_width=90, elem_id="beside-seed"),
                greedy=gr.Checkbox(False, label="Temperature 0", elem_id="beside-greedy"),
                longest=gr.Number(
                    0, label="Max tokens (0: as set)", precision=0, minimum=0, min_width=90, elem_id="beside-longest"
                ),
                apart=gr.Checkbox(False, label="One after the other", elem_id="beside-apart"),
            )

    @property
    def inputs(self) -> set[Any]:
        return {self.prompt, self.chats, self.same, self.seed, self.greedy, self.longest, self.apart}

    def question(self, data: Mapping[Any, Any], settings: Mapping[str, Any]) -> Question:
        """`data`: the values of `inputs`; `settings`: the chat's."""
        seed, longest = data[self.seed], data[self.longest]
        return Question(
            prompt=str(data[self.prompt] or "").strip(),
            settings=settings if data[self.chats] else {},
            seed=int(seed) if data[self.same] and seed is not None else None,
            greedy=bool(data[self.greedy]),
            max_tokens=int(longest) if longest else None,
        )
