"""What is to be measured: models of this machine, how much, and on which text"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from ggufrun.figures import gb
from ggufrun.ui.client import Api
from ggufrun.ui.served_here import SERVED

Json = dict[str, Any]
_MODES: Final = [("Quick: minutes", "quick"), ("Default", "default"), ("Full: hours", "full")]
_CACHES: Final = ["f16", "q8_0", "q4_0"]
_TASKS: Final = [("Tool calls", "tools"), ("How the text goes on", "choices"), ("Codes in long texts", "needle")]


@dataclass(frozen=True, slots=True)
class Form:
    models: gr.Dropdown
    mode: gr.Radio
    caches: gr.CheckboxGroup
    tasks: gr.CheckboxGroup
    aims: Mapping[str, Any]  # by what the API calls them: what the recommendation has to respect
    text: gr.Textbox
    start: gr.Button

    @classmethod
    def made(cls) -> "Form":
        models = gr.Dropdown(
            [],
            value=[],
            multiselect=True,
            allow_custom_value=True,  # as in `model_dropdown`
            label="Models, two or more of one kind",
            elem_id="measured-models",
        )
        with gr.Row(elem_id="measured-how"):
            mode = gr.Radio(_MODES, value="quick", label="How much", elem_id="measured-mode")
            caches = gr.CheckboxGroup(_CACHES, value=["f16"], label="KV cache", elem_id="measured-caches")
            tasks = gr.CheckboxGroup(_TASKS, value=[], label="Tasks, too (full has all)", elem_id="measured-tasks")
        with gr.Row(elem_id="measured-aims"):
            aims = {
                "min_tok_s": gr.Number(None, label="Recommend only from so many tok/s on", minimum=0),
                "context": gr.Number(None, label="with room for so much context", minimum=0, precision=0),
                "gpu": gr.Textbox(label="on other GPUs than these (24GB; none)", max_lines=1),
                "ram": gr.Textbox(label="with other memory (32GB)", max_lines=1),
            }
        text = gr.Textbox(
            label="Your own text (empty: the built-in one)", lines=1, max_lines=8, elem_id="measured-text"
        )
        start = gr.Button("Measure", variant="primary", size="sm", scale=0, min_width=110, elem_id="measured-start")
        return cls(models, mode, caches, tasks, aims, text, start)

    @property
    def inputs(self) -> set[Any]:
        return {self.models, self.mode, self.caches, self.tasks, self.text, *self.aims.values()}

    def body(self, data: Mapping[Any, Any]) -> Json:
        """For POST /ggufrun/v1/compare."""
        text = str(data[self.text] or "").strip()
        wanted = {"models": data[self.models], "mode": data[self.mode], "kv_types": data[self.caches] or ["f16"]}
        aims = {name: data[field] or None for name, field in self.aims.items()}  # 0 asks for nothing
        return {**wanted, **aims, "tasks": data[self.tasks] or None, "text": text or None}


async def offered(api: Api) -> list[tuple[str, str]]:
    """Labels and values: what lies on this machine whole, and what is served from elsewhere on it. Raises ApiError."""
    local, served = await asyncio.gather(api.get("/ggufrun/v1/library/local"), api.get(SERVED))
    whole = [each for each in local["data"] if each["partial"] is None]
    files = {file for each in whole for file in each["files"]}
    here = [(_label(each["name"], each["quant"], each["bytes"]), each["name"]) for each in whole]
    more = [each for each in served["data"] if each.get("path") and each["path"] not in files]
    return [*((_label(each["name"], each.get("quant"), 0), each["path"]) for each in more), *here]


def _label(name: str, quant: str | None, size: int) -> str:
    parts = [name, quant if quant and quant.lower() not in name.lower() else "", gb(size) if size else ""]
    return " · ".join(filter(None, parts))
