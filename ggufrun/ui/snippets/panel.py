"""The API tab: where the server is, how other programs call it, and what the last calls used."""

from typing import Any, Final

import gradio as gr
from markupsafe import Markup

from ggufrun.ui.client import Api
from ggufrun.ui.download import download_button, scratch_file
from ggufrun.ui.errors import ApiError, shown
from ggufrun.ui.settings.tab_settings import TabSettings
from ggufrun.ui.shared import Shared
from ggufrun.ui.snippets.calls import Call, as_csv, as_table
from ggufrun.ui.snippets.code import KEY, PROGRAMS
from ggufrun.ui.snippets.request import request_of

SHOWN: Final = 30  # calls
EXPORTED: Final = 1000  # of one request; an export asks until there are no more
MOST: Final = 100_000
_HERE: Final = "new URL('.', location.href).href.replace(/[/]$/, '')"  # how this browser reaches the server
_OPEN: Final = "document.getElementById('api-tab')?.offsetParent"  # null while another tab is looked at
_MAKE: Final = Markup("<code>ggufrun keys add NAME</code>")
_READ: Final = Markup("The snippets read it from <code>{}</code>.").format(KEY)
_ABOUT: Final = {
    (True, False): Markup("No key is needed on this machine until one is made: {}.").format(_MAKE),
    (True, True): Markup("Programs need a key; {} makes one. {}").format(_MAKE, _READ),
    (False, False): Markup("This server asks for no key."),
    (False, True): Markup("This server asks for a key, which whoever runs it can make. {}").format(_READ),
}  # by whether the server is this program's own, and whether it needs a key


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

    async def written(address: str, model: str | None, settings: TabSettings, request: gr.Request) -> Any:
        """`address`: "" where nobody looks, and it is done when somebody does."""
        if not address:
            return gr.skip()
        api = shared.users.api(request)
        base = address if api.server.own else api.server.url
        body = request_of(model or await _first(api), settings.now)
        return base, *(write(base, body) for _, write in PROGRAMS.values())

    async def opened(request: gr.Request) -> tuple[Markup, Markup]:
        api = shared.users.api(request)
        return await _about_key(api), await _listed(api)

    async def listed(request: gr.Request) -> Markup:
        return await _listed(shared.users.api(request))

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
    asked, shows = [url, shared.model, shared.settings], [url, *codes]
    tab.select(written, asked, shows, js=f"(_, model, settings) => [{_HERE}, model, settings]", **quiet)
    changes = [shared.settings_changed.change, shared.model.change]
    seen = f"(_, model, settings) => [{_OPEN} ? {_HERE} : '', model, settings]"
    gr.on(changes, written, asked, shows, js=seen, trigger_mode="always_last", **quiet)
    tab.select(opened, None, [about_key, table], **quiet)
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
    needs = await api.server.needs_key()
    return Markup("" if needs is None else "<p>{}</p>").format(_ABOUT[api.server.own, bool(needs)])


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
