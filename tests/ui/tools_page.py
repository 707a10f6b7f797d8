"""A page with the tools' two parts only, and a box for each state that they share with the others."""

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI

from ggufrun.mcp_servers import McpServer
from ggufrun.ui import assets
from ggufrun.ui.client import Server
from ggufrun.ui.shared import Shared
from ggufrun.ui.theme import THEME
from ggufrun.ui.tools.calls import calls_panel
from ggufrun.ui.tools.mcp import Mcp
from ggufrun.ui.tools.panel import tools_panel
from ggufrun.ui.users import Users


@contextmanager
def tools_page(api: str, servers: dict[str, McpServer]) -> Iterator[str]:
    """Its address. Browsers are who their cookie `key` says. `servers` is what ggufrun.toml has."""
    users, mcp = Users(), Mcp(lambda: dict(servers))

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        yield
        await mcp.close()

    page = FastAPI(lifespan=living)
    users.are_of(Server(api), lambda cookies: cookies.partition("key=")[2].partition(";")[0])
    styles = assets.text("tools.css")
    gr.mount_gradio_app(page, _blocks(users, mcp), path="/", theme=THEME, css=styles, footer_links=[], ssr_mode=False)
    running = uvicorn.Server(uvicorn.Config(page, port=0, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=running.run)
    thread.start()
    try:
        end = time.monotonic() + 60
        while not running.started:
            assert time.monotonic() < end and thread.is_alive()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join(20)


def _blocks(users: Users, mcp: Mcp) -> gr.Blocks:
    page = gr.Blocks(analytics_enabled=False)
    with page:
        shared = Shared.made(users, mcp)
        shared.model.render()
        gr.Textbox(elem_id="ask")  # a test's browser waits for it
        _box(shared.tools, "told")
        _box(shared.pending, "pending")
        _box(shared.chat, "chat")
        times = gr.Number(0, elem_id="times", label="times")
        shared.results.change(lambda n: n + 1, times, times, queue=False)
        given = gr.Textbox(elem_id="given", label="given")
        shared.results.change(_dumped, shared.results, given, queue=False)
        tools_panel(shared)
        calls_panel(shared)
    page.queue(default_concurrency_limit=32)
    return page


def _box(state: gr.State, elem_id: str) -> None:
    """What it is; Enter sets it, as another part would."""
    box = gr.Textbox(elem_id=elem_id, label=elem_id)
    box.submit(json.loads, box, state)
    state.change(_dumped, state, box, queue=False)


def _dumped(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    return json.dumps([each if isinstance(each, Mapping) else asdict(each) for each in value])
