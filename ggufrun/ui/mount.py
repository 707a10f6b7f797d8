"""Gradio's part of the page: the blocks as an application. Before it stands the `entrance`."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import gradio as gr
from fastapi import FastAPI
from starlette.types import ASGIApp

from ggufrun.ui import assets
from ggufrun.ui.blocks import blocks
from ggufrun.ui.early import Early
from ggufrun.ui.entrance import Entrance
from ggufrun.ui.measured.page import PATH, report_page
from ggufrun.ui.theme import THEME
from ggufrun.ui.tools.mcp import Mcp, Read, no_servers
from ggufrun.ui.users import Users

LARGEST_FILE: Final = "50mb"


def mounted(
    entrance: Entrance, *, root_path: str = "", mcp_servers: Read = no_servers
) -> Callable[[], AbstractAsyncContextManager[ASGIApp]]:
    """Built already; it lives while the context does. `entrance`: knows whose browsers come."""
    users, mcp = Users(), Mcp(mcp_servers)
    page = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    page.add_route(PATH, report_page(users), methods=["GET"])
    gr.mount_gradio_app(
        page,
        blocks(users, mcp),
        path="/",
        root_path=root_path or None,
        theme=THEME,
        css=assets.together(".css"),
        head=f"<script>{assets.together('.js')}</script>",
        favicon_path=str(assets.path("icon.svg")),
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        max_file_size=LARGEST_FILE,
        show_error=True,
        pwa=True,
    )
    users.are_of(entrance.server, entrance.key_of)

    @asynccontextmanager
    async def living() -> AsyncIterator[ASGIApp]:
        try:
            async with page.router.lifespan_context(page):
                yield Early(page)
        finally:
            await mcp.close()

    return living
