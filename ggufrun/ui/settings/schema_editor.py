"""The editor of the JSON schema that answers must match, with what the server says of it."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import gradio as gr
from markupsafe import Markup

from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError, shown, warn
from ggufrun.ui.settings.events import TOLD
from ggufrun.ui.settings.schema import EXAMPLE, BadSchema, Schema, refused, schema_of, told, why_unusable, written
from ggufrun.ui.settings.tab_settings import TabSettings
from ggufrun.ui.settings.values import with_schema
from ggufrun.ui.shared import Applied, Shared, now

PAUSE_S: Final = 0.3  # while one types, no more often than that


@dataclass(frozen=True, slots=True, eq=False)
class Checked:
    """A schema that can be used, None for none. `chat`: the one that was open."""

    schema: Schema | None
    chat: str


def schema_editor(shared: Shared) -> gr.Code:
    editor = gr.Code(language="json", show_label=False, lines=5, max_lines=18, elem_id="schema", buttons=[])
    with gr.Row():
        example = gr.Button("Example", size="sm", min_width=80, elem_id="schemaexample")
        clear = gr.Button("No schema", size="sm", min_width=80, elem_id="schemaclear")
    said, checked = gr.HTML(elem_id="schemasaid"), gr.State(None)
    users = shared.users

    async def edited(text: str | None, settings: TabSettings, chat: str, request: gr.Request) -> tuple[Any, Any]:
        await asyncio.sleep(PAUSE_S)  # meanwhile the next letters come, and only the last of them is looked at
        return await _taken(users.api(request), text or "", settings.now.get("schema"), chat)

    async def shown_how(text: str | None, chat: str, request: gr.Request) -> tuple[Any, Any, Any]:
        if (text or "").strip():
            warn("The editor has a schema. Press “No schema” first.")
            return gr.skip(), gr.skip(), gr.skip()
        example = written(EXAMPLE)
        return example, *await _taken(users.api(request), example, None, chat)

    async def used(checked: Checked, settings: TabSettings, chat: str, request: gr.Request) -> Any:
        if checked.chat != chat:  # another has been opened while it was checked
            return gr.skip()
        settings.change(with_schema(settings.now, checked.schema), chat)
        try:
            await settings.keep(users.api(request))
        except ApiError as error:
            raise shown(error) from error
        return now()

    async def applied(found: Applied | None, request: gr.Request) -> tuple[Any, Any]:
        if found is None:
            return gr.skip(), gr.skip()
        schema = found.settings.get("schema")
        return written(schema), (await _taken(users.api(request), written(schema), None, ""))[0]

    editor.input(edited, [editor, shared.settings, shared.chat], [said, checked], trigger_mode="always_last", **TOLD)
    example.click(shown_how, [editor, shared.chat], [editor, said, checked], **TOLD)
    clear.click(lambda chat: ("", "", Checked(None, chat)), shared.chat, [editor, said, checked], **TOLD)
    checked.change(used, [checked, shared.settings, shared.chat], shared.settings_changed, **TOLD)
    shared.apply.change(applied, shared.apply, [editor, said], **TOLD)
    return editor


async def _taken(api: Api, text: str, before: Schema | None, chat: str) -> tuple[Any, Any]:
    """What is said of it, and the schema if it can be used. `before`: the one that is in use."""
    try:
        schema = schema_of(text)
        if schema is None:
            return Markup(""), Checked(None, chat)
        check = await api.post("/v1/schema/check", {"schema": schema})
    except BadSchema as error:
        return refused(str(error), before), gr.skip()
    except ApiError as error:
        if error.status in (400, 413, 422):
            return refused(str(error), before), gr.skip()
        raise shown(error) from error
    if why := why_unusable(check):
        return refused(why, before), gr.skip()
    return told(check), Checked(schema, chat)
