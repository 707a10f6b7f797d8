"""The API tab: where the server is, how other programs call it, and what the last calls used."""

from typing import Any, Final

import gradio as gr
from markupsafe import Markup

from ggufrun.ui.client import Api
from ggufrun.ui.download import download_button, scratch_file
from ggufrun.ui.errors import ApiError, shown
from ggufrun.ui.shared import Shared
from ggufrun.ui.snippets.calls import Call, as_csv, as_table
from ggufrun.ui.snippets.code import KEY, PROGRAMS
from ggufrun.ui.snippets.request import request_of

SHOWN: Final = 30  # calls
EXPORTED: Final = 1000  # of one request; an export asks until there are no more
MOST: Final = 100_000
_HERE: Final = "new URL('.', location.href).href.replace(/[/]$/, '')"  # how this browser reaches the server
_KEYLESS: Final = Markup(
    "<p>No key is needed on this machine until one is made: <code>ggufrun keys add NAME</code>.</p>"
)
_KEYED: Final = Markup(
    "<p>Programs need a key; <code>ggufrun keys add NAME</code> makes one. "
    "The snippets read it from <code>{}</code>.</p>"
)


def api_tab(shared: Shared, tab: gr.Tab) -> None:
    """Within its tab, which fills it when it is opened."""

    async def exported(request: gr.Request) -> str:
        try:
            calls = await _all(shared.users.api(request))
        except ApiError as error:
            raise shown(error) from error
        path = scratch_file("ggufrun-calls.csv")
        path.write_text(as_csv(calls), encoding="utf-8")
        return str(path)

    url = gr.Textbox(
        label="Base URL (with /v1 behind it for OpenAI's clients)", elem_id="base", interactive=False, buttons=["copy"]
    )
    about_key = gr.HTML(elem_id="apikey")
    codes = _programs()
    with gr.Row(elem_id="lastcalls"):
        gr.Markdown("### Last calls")
        refresh = gr.Button("Refresh", size="sm", scale=0, min_width=100)
        download_button("Export CSV", exported, elem_id="csv")
    table = gr.HTML(elem_id="calls")

    async def opened(address: str, model: str | None, settings: dict[str, Any], request: gr.Request) -> tuple[Any, ...]:
        api = shared.users.api(request)
        base = address if api.server.own else api.server.url
        body = request_of(model or await _first(api), settings)
        programs = [write(base, body) for _, write in PROGRAMS.values()]
        return base, await _about_key(api), *programs, await _listed(api)

    async def listed(request: gr.Request) -> Markup:
        return await _listed(shared.users.api(request))

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    filled = [url, about_key, *codes, table]
    here = f"(_, model, settings) => [{_HERE}, model, settings]"
    tab.select(opened, [url, shared.model, shared.settings], filled, js=here, **quiet)
    refresh.click(listed, None, table, **quiet)


def _programs() -> list[gr.Code]:
    codes = []
    with gr.Tabs(elem_id="programs"):
        for name, (language, _) in PROGRAMS.items():
            with gr.Tab(name):
                codes.append(gr.Code(language=language, show_label=False, interactive=False, max_lines=24))
    return codes


async def _first(api: Api) -> str:
    """A model to show, where none is chosen."""
    try:
        served = (await api.get("/v1/models"))["data"]
    except ApiError:
        return ""
    return str(served[0]["id"]) if served else ""


async def _about_key(api: Api) -> Markup:
    try:
        await api.server.user("").get("/v1/models")
    except ApiError as error:
        if error.status == 401:
            return _KEYED.format(KEY)
    return _KEYLESS


async def _listed(api: Api) -> Markup:
    try:
        return as_table((await api.get("/ggufrun/v1/calls", limit=SHOWN))["data"])
    except ApiError as error:
        return Markup('<p class="none">{}</p>').format(error)


async def _all(api: Api) -> list[Call]:
    calls: list[Call] = []
    before: int | None = None
    while len(calls) < MOST:
        page = await api.get("/ggufrun/v1/calls", limit=EXPORTED, before=before)
        calls += page["data"]
        before = page["next"]
        if before is None:
            break
    return calls
