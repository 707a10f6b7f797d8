"""The model picker: which model answers, what becomes of it, and loading and unloading it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final
from urllib.parse import quote

import gradio as gr
from gradio.context import Context

from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError, shown, warn
from ggufrun.ui.served_here import SERVED, serve
from ggufrun.ui.settings.catalog import Catalog, Json, catalog_of
from ggufrun.ui.settings.events import TOLD
from ggufrun.ui.settings.watching import Watch
from ggufrun.ui.shared import Shared, Wanted, now

_CLOCK: Final = "ggufrun.clock(element, () => trigger('tick'))"


def model_picker(shared: Shared, form: gr.HTML) -> None:
    """`form`: the fields of sampling, which show what a model's own values are."""
    shared.model.render()
    state = gr.HTML(elem_id="modelstate", js_on_load=_CLOCK)
    with gr.Row(elem_id="loading"):
        load = gr.Button("Load", size="sm", elem_id="load", visible=False)
        unload = gr.Button("Unload", size="sm", elem_id="unload", visible=False)
    remembered = gr.BrowserState("", storage_key="ggufrun-model", secret="ggufrun-model")  # the choice is no secret
    seen, looked = gr.State(""), gr.State(0)
    watch, users = Watch(), shared.users
    choosing = set[str]()  # tabs: what they have chosen is not served yet

    async def refresh(name: str | None, last: str, before: str, request: gr.Request) -> tuple[Any, str, Any]:
        if (request.session_hash or "") in choosing:
            return gr.skip(), before, gr.skip()  # that ends with what is served then
        catalog = await _catalog(users.api(request))
        signature = catalog.signature()
        return _dropdown(catalog, name, last), signature, now() if before not in ("", signature) else gr.skip()

    async def choose(name: str | None, last: str, chat: str, request: gr.Request) -> tuple[Any, Any, Any]:
        """The user has: a model that is not served yet is, from now on. The chat that is open keeps it."""
        api, tab = users.api(request), request.session_hash or ""
        choosing.add(tab)
        try:
            return await _chosen(api, name or "", chat)
        except ApiError as error:
            warn(str(error))
            return _dropdown(await _catalog(api), None, last), gr.skip(), gr.skip()
        finally:
            choosing.discard(tab)

    async def want(wanted: Wanted | None, last: str, chat: str, request: gr.Request) -> tuple[Any, Any, Any]:
        """Another part of the page has."""
        if wanted is None:
            return gr.skip(), gr.skip(), gr.skip()
        return await choose(wanted.name, last, chat, request)

    async def look(name: str | None, request: gr.Request) -> AsyncIterator[tuple[Any, ...]]:
        async for view in watch.views(users.api(request), name, request.session_hash or ""):
            own = gr.skip() if view.hints is None else gr.HTML(hints=view.hints, efforts=list(view.efforts))
            yield view.html, gr.Button(visible=view.loads), gr.Button(visible=view.unloads), own

    async def tick(name: str | None, before: str, request: gr.Request) -> tuple[Any, Any, Any]:
        """Others load and unload models too: other tabs, other programs, and chats that ask one."""
        unchanged = gr.skip(), gr.skip(), gr.skip()
        tab = request.session_hash or ""
        if watch.watches(tab) or tab in choosing:
            return unchanged
        try:
            catalog = await catalog_of(users.api(request), local=False)
        except ApiError:
            return unchanged  # who asks for something hears of it
        if (signature := catalog.signature()) == before:
            return unchanged
        return _dropdown(await _catalog(users.api(request)), name, ""), signature, now()

    page = Context.root_block
    if page is None:
        raise RuntimeError("The picker is a part of the page.")
    choices = [shared.model, seen, looked]
    gr.on([page.load, shared.models_changed.change], refresh, [shared.model, remembered, seen], choices, **TOLD)
    taken = [shared.model, remembered, shared.models_changed]
    shared.model.input(choose, [shared.model, remembered, shared.chat], taken, trigger_mode="always_last", **TOLD)
    shared.wanted.change(want, [shared.wanted, remembered, shared.chat], taken, trigger_mode="always_last", **TOLD)
    gr.on(
        [shared.model.change, looked.change],
        look,
        shared.model,
        [state, load, unload, form],
        trigger_mode="multiple",
        **TOLD,
    )
    load.click(_order(shared, "load"), shared.model, looked, **TOLD)
    unload.click(_order(shared, "unload"), shared.model, looked, **TOLD)
    state.tick(tick, [shared.model, seen], choices, **TOLD)


def _order(shared: Shared, verb: str) -> Callable[[str | None, gr.Request], Awaitable[int]]:
    async def order(name: str | None, request: gr.Request) -> int:
        try:
            await shared.users.api(request).post(f"/ggufrun/v1/models/{quote(name or '')}/{verb}?wait=false")
        except ApiError as error:
            raise shown(error) from error
        return now()

    return order


async def _catalog(api: Api) -> Catalog:
    try:
        return await catalog_of(api)
    except ApiError as error:
        raise shown(error) from error


def _dropdown(catalog: Catalog, chosen: str | None, last: str) -> gr.Dropdown:
    """What is chosen stays untouched while it is served: the user, or another part, may have chosen anew by now."""
    if chosen in catalog.served:
        return gr.Dropdown(choices=catalog.choices)
    return gr.Dropdown(choices=catalog.choices, value=catalog.first(last))


async def _chosen(api: Api, name: str, chat: str) -> tuple[Any, Any, Any]:
    """The model, what is remembered, and whether what is served has changed. Raises ApiError."""
    if not name:
        return gr.skip(), "", gr.skip()
    catalog = await catalog_of(api)
    if name in (catalog.states or {}) and name not in catalog.served:
        raise _mute(name)
    new = name not in catalog.served
    served = await _served(api, name) if new else name
    if chat and served:
        await api.patch(f"/ggufrun/v1/chats/{quote(chat)}", {"model": served})
    if new:
        catalog = await catalog_of(api)
    return gr.Dropdown(choices=catalog.choices, value=catalog.first(served)), served, now() if new else gr.skip()


async def _served(api: Api, name: str) -> str:
    """Served and being loaded, by the name that it has then. Raises ApiError."""
    added = await serve(api, name)
    place = f"{SERVED}/{quote(added)}"
    model: Json = await api.get(place)
    if not model.get("completion_chat", True):
        await api.delete(place)
        raise _mute(name)
    await api.post(f"{place}/load?wait=false")
    return added


def _mute(name: str) -> ApiError:
    return ApiError(f"{name} makes embeddings and does not chat. Choose another model.", 0)
