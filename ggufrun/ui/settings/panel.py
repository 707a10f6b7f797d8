"""How answers are asked for: model, preset, system prompt, sampling, schema, tools.

Whatever the user changes goes into `shared.settings`, and is kept of the chat that is open.
"""

from typing import Any
from urllib.parse import quote

import gradio as gr

from ggufrun.ui.errors import ApiError, say, shown
from ggufrun.ui.settings.events import TOLD
from ggufrun.ui.settings.form import sampling_form
from ggufrun.ui.settings.picker import model_picker
from ggufrun.ui.settings.presets import presets_row
from ggufrun.ui.settings.sampling import Texts, sampling_of, texts_of
from ggufrun.ui.settings.schema_editor import schema_editor
from ggufrun.ui.settings.values import (
    Change,
    Settings,
    sampling_in,
    system_in,
    tools_in,
    with_sampling,
    with_system,
    with_tools,
)
from ggufrun.ui.shared import Applied, Shared
from ggufrun.ui.tools.panel import tools_panel


def settings_panel(shared: Shared) -> None:
    change, form = gr.State(None), sampling_form()
    model_picker(shared, form)
    presets_row(shared)
    system = gr.Textbox(
        label="System prompt", lines=3, max_lines=12, placeholder="Empty: the model's own", elem_id="system"
    )
    form.render()
    with gr.Accordion("JSON", open=False, elem_id="json"):
        schema_editor(shared, change)
    with gr.Accordion("Tools", open=False, elem_id="tools"):
        tools_panel(shared)

    made = [shared.settings, change]
    system.blur(_system, [system, shared.settings, shared.chat], made, trigger_mode="always_last", **TOLD)
    system.submit(_system, [system, shared.settings, shared.chat], made, trigger_mode="always_last", **TOLD)
    form.input(_sampling, [form, shared.settings, shared.chat], [form, *made], trigger_mode="always_last", **TOLD)
    shared.tools.change(_tools, [shared.tools, shared.settings, shared.chat], made, **TOLD)
    _keeping(shared, change)
    _applying(shared, system, form)


def _keeping(shared: Shared, change: gr.State) -> None:
    async def keep(change: Change | None, request: gr.Request) -> None:
        if change is None or not change.chat:
            return  # a chat takes its settings along when it begins
        try:
            body = {"settings": change.settings}
            await shared.users.api(request).patch(f"/ggufrun/v1/chats/{quote(change.chat)}", body)
        except ApiError as error:
            if error.status != 404:  # one that has just been deleted
                raise shown(error) from error

    change.change(keep, change, None, trigger_mode="multiple", **TOLD)


def _applying(shared: Shared, system: gr.Textbox, form: gr.HTML) -> None:
    """The editor of the schema hears of it itself."""

    def fill(found: Applied | None) -> tuple[Any, ...]:
        if found is None:
            return (gr.skip(),) * 4
        now = {name: value for name, value in found.settings.items() if name != "left_out"}  # see `shared.settings`
        return system_in(now), gr.HTML(value=texts_of(sampling_in(now)), wrong={}), now, tools_in(now)

    async def choose(found: Applied | None, model: str | None, request: gr.Request) -> Any:
        wanted = found.model if found is not None else ""
        if wanted in ("", model):
            return gr.skip()
        try:
            cards = (await shared.users.api(request).get("/v1/models"))["data"]
        except ApiError as error:
            raise shown(error) from error
        served = next((card["id"] for card in cards if wanted in (card["id"], *card["aliases"])), None)
        if served is None:
            say(f"{wanted} is not served now. {model or 'No model'} answers instead.", "Another model")
            return gr.skip()
        return served

    shared.apply.change(fill, shared.apply, [system, form, shared.settings, shared.tools], **TOLD)
    shared.apply.change(choose, [shared.apply, shared.model], shared.model, **TOLD)


def _system(text: str, settings: Settings, chat: str) -> tuple[Any, Any]:
    return (gr.skip(), gr.skip()) if text == system_in(settings) else with_system(settings, text, chat)


def _tools(tools: list[Any], settings: Settings, chat: str) -> tuple[Any, Any]:
    return (gr.skip(), gr.skip()) if tools == tools_in(settings) else with_tools(settings, tools, chat)


def _sampling(texts: Texts, settings: Settings, chat: str) -> tuple[Any, Any, Any]:
    sampling, wrong = sampling_of(texts, sampling_in(settings))
    return gr.HTML(wrong=wrong), *with_sampling(settings, sampling, chat)
