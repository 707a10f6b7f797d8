"""Presets: the settings and the model, saved by a name, and used again."""

from typing import Any, Final
from urllib.parse import quote

import gradio as gr
from gradio.context import Context

from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError, say, shown, warn
from ggufrun.ui.settings.events import TOLD
from ggufrun.ui.settings.tab_settings import TabSettings
from ggufrun.ui.shared import Applied, Shared

LONGEST: Final = 100  # characters of a name
_OTHER: Final = "Another chat is open by now: the preset was not used."
_SEEN: Final = "(_, ...more) => [window.ggufrunView?.now().chat ?? '', ...more]"
_SURE: Final = "(name) => name && confirm(`Delete the preset “${name}”?`) ? name : null"


def presets_row(shared: Shared) -> None:
    with gr.Row(elem_id="presets"):
        name = gr.Dropdown([], value=None, label="Preset", allow_custom_value=True, elem_id="preset", min_width=120)
        save = gr.Button("Save", size="sm", scale=0, min_width=56, elem_id="presetsave")
        delete = gr.Button("Delete", size="sm", scale=0, min_width=64, elem_id="presetdelete")
    shows = gr.Textbox(visible=False)  # the chat that the browser shows when a preset is chosen: its script says so
    users = shared.users

    async def listed(request: gr.Request) -> Any:
        try:
            return gr.Dropdown(choices=await _names(users.api(request)))
        except ApiError as error:
            if error.status in (400, 404):  # a server that keeps no chats has none
                return gr.skip()
            raise shown(error) from error

    async def used(seen: str, settings: TabSettings, chat: str, request: gr.Request, event: gr.SelectData) -> Any:
        """Chosen from the list: a name that is typed is one to save under. The chat that was `seen` has it from now on.

        Unless another one is open by then: it is used there by nobody's wish.
        """
        api, name, of = users.api(request), event.value, settings.chat
        try:
            found = next((each for each in await _presets(api) if each["name"] == name), None)
            if found is None:
                return gr.skip()
            if seen != chat or settings.chat != of:
                warn(_OTHER)
                return gr.skip()
            now = {key: value for key, value in found["settings"].items() if key not in _OF_A_CHAT}
            settings.replace(now)
            settings.change(now, chat)
            of = settings.chat
            await settings.keep(api)
            if chat and found["model"]:
                await api.patch(f"/ggufrun/v1/chats/{quote(chat)}", {"model": found["model"]})
        except ApiError as error:
            raise shown(error) from error
        return Applied(now, found["model"]) if settings.chat == of else gr.skip()

    async def saved(name: str | None, settings: TabSettings, model: str | None, request: gr.Request) -> Any:
        name = (name or "").strip()
        if not 0 < len(name) <= LONGEST:
            warn(f"Write a name of up to {LONGEST} characters into the field Preset first.")
            return gr.skip()
        api = users.api(request)
        try:
            over = name in await _names(api)
            await api.put(_path(name), {"model": model or "", "settings": settings.now})
            names = await _names(api)
        except ApiError as error:
            raise shown(error) from error
        say(f"{'Overwritten' if over else 'Saved'}: {name}, with model, system prompt, sampling, schema and tools.")
        return gr.Dropdown(choices=names, value=name)

    async def deleted(name: str | None, request: gr.Request) -> Any:
        if not name:
            return gr.skip()
        api = users.api(request)
        try:
            await api.delete(_path(name))
            return gr.Dropdown(choices=await _names(api), value=None)
        except ApiError as error:
            raise shown(error) from error

    page = Context.root_block
    if page is None:
        raise RuntimeError("Presets are a part of the page.")
    page.load(listed, None, name, **TOLD)
    name.select(used, [shows, shared.settings, shared.chat], shared.apply, js=_SEEN, **TOLD)
    save.click(saved, [name, shared.settings, shared.model], name, **TOLD)
    delete.click(deleted, name, name, js=_SURE, **TOLD)


_OF_A_CHAT: Final = ("left_out",)  # messages, which other chats do not have


def _path(name: str) -> str:
    return f"/ggufrun/v1/presets/{quote(name, safe='')}"


async def _presets(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await api.get("/ggufrun/v1/presets"))["data"]
    return found


async def _names(api: Api) -> list[str]:
    return [each["name"] for each in await _presets(api)]
