"""How answers are asked for: model, preset, system prompt, sampling, schema, tools.

Whatever the user changes goes into `shared.settings`, and is kept of the chat that is open.
"""

from typing import Any

import gradio as gr

from ggufrun.ui.chat.trouble import tell
from ggufrun.ui.errors import ApiError, say, shown
from ggufrun.ui.settings.events import TOLD
from ggufrun.ui.settings.picker import model_picker
from ggufrun.ui.settings.presets import presets_row
from ggufrun.ui.settings.sampling import Texts, sampling_of, texts_of
from ggufrun.ui.settings.schema_editor import schema_editor
from ggufrun.ui.settings.tab_settings import TabSettings
from ggufrun.ui.settings.values import sampling_in, system_in, tools_in, with_sampling, with_system, with_tools
from ggufrun.ui.shared import Applied, Shared, now
from ggufrun.ui.tools.panel import tools_panel


def settings_panel(shared: Shared) -> None:
    system, form = shared.system, shared.sampling
    model_picker(shared, form)
    presets_row(shared)
    system.render()
    form.render()
    with gr.Accordion("JSON", open=False, elem_id="json"):
        schema_editor(shared)
    with gr.Accordion("Tools", open=False, elem_id="tools"):
        tools_panel(shared)
    _changing(shared)
    _applying(shared)


def _changing(shared: Shared) -> None:
    users, told, of = shared.users, shared.settings_changed, [shared.settings, shared.chat]

    async def written(text: str, settings: TabSettings, chat: str, request: gr.Request) -> Any:
        is_new = text != system_in(settings.now)
        if is_new:
            settings.change(with_system(settings.now, text), chat)
        await kept(settings, request)  # also what was asked with already
        return now() if is_new else gr.skip()

    async def filled(texts: Texts, settings: TabSettings, chat: str, request: gr.Request) -> tuple[Any, Any]:
        sampling, wrong = sampling_of(texts, sampling_in(settings.now))
        settings.change(with_sampling(settings.now, sampling), chat)
        await kept(settings, request)
        return gr.HTML(wrong=wrong), now()

    async def chosen(tools: list[Any], settings: TabSettings, chat: str, request: gr.Request) -> Any:
        if tools == tools_in(settings.now):
            return gr.skip()
        settings.change(with_tools(settings.now, tools), chat)
        await kept(settings, request)
        return now()

    async def kept(settings: TabSettings, request: gr.Request) -> None:
        """What is changed holds on this page in any case."""
        try:
            await settings.keep(users.api(request))
        except ApiError as error:
            tell(error)

    last: dict[str, Any] = {"trigger_mode": "always_last", **TOLD}
    gr.on([shared.system.blur, shared.system.submit], written, [shared.system, *of], told, **last)
    shared.sampling.input(filled, [shared.sampling, *of], [shared.sampling, told], **last)
    shared.tools.change(chosen, [shared.tools, *of], told, **TOLD)


def _applying(shared: Shared) -> None:
    """The editor of the schema hears of it itself."""

    async def fill(found: Applied | None, settings: TabSettings) -> tuple[Any, ...]:
        if found is None:
            return (gr.skip(),) * 4
        given = {name: value for name, value in found.settings.items() if name != "left_out"}  # see `shared.settings`
        settings.replace(given, chat=found.chat)
        return system_in(given), gr.HTML(value=texts_of(sampling_in(given)), wrong={}), now(), tools_in(given)

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

    filled = [shared.system, shared.sampling, shared.settings_changed, shared.tools]
    shared.apply.change(fill, [shared.apply, shared.settings], filled, **TOLD)
    shared.apply.change(choose, [shared.apply, shared.model], shared.model, **TOLD)
