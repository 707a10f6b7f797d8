"""Written tools, looked at by a real server, and used in the chat that they were written in. No browser."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from ggufrun.records.keys import KeyStore
from ggufrun.ui.client import Api, Server
from ggufrun.ui.settings.tab_settings import TabSettings
from ggufrun.ui.shared import Shared
from ggufrun.ui.tools.panel import _Panel
from ggufrun.ui.tools.written import BadTools, check
from ggufrun.ui.users import Users
from tests.api.served import served
from tests.ui.test_tools import tool


@dataclass
class Admin:
    url: str
    key: str

    async def model(self, verb: str = "") -> Any:
        async with self.api() as api:
            path = "/ggufrun/v1/models/demo"
            return await (api.post(f"{path}/{verb}") if verb else api.get(path))

    @asynccontextmanager
    async def api(self) -> AsyncIterator[Api]:
        server = Server(self.url)
        yield server.user(self.key)
        await server.close()


@pytest.fixture(scope="module")
def admin(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Admin]:
    home = tmp_path_factory.mktemp("home")
    with closing(KeyStore(home / "ggufrun.db")) as keys:
        key = keys.add("admin", scope="admin")
    with served("demo", home) as running:
        yield Admin(str(running.client.base_url), key)


@pytest.mark.parametrize("state", ["ready", "unloaded"])
async def test_a_model_is_not_loaded_to_check_tools(admin: Admin, state: str) -> None:
    if state == "unloaded":
        await admin.model("unload")
    bad, nameless = tool("bad", parameters={"type": "<b>"}), {"type": "function", "function": {}}
    async with admin.api() as api:
        with pytest.raises(BadTools, match="Tool 2, 'bad': Invalid tool schema: '<b>' is not valid"):
            await check([tool("ok"), bad], "demo", api)
        with pytest.raises(BadTools, match=r"Tool 1: function\.name: Field required"):
            await check([nameless], "demo", api)
        await check([tool("ok")], "demo", api)
    assert (await admin.model())["state"] == state


async def test_tools_are_used_in_the_chat_that_they_were_written_in(admin: Admin) -> None:
    users, request = Users(), gr.Request(headers={})
    users.are_of(Server(admin.url), lambda _: admin.key)
    with gr.Blocks(analytics_enabled=False):
        shared = Shared.made(users)
        panel = _Panel(shared)
    settings = TabSettings()
    settings.replace({}, chat="first")
    mine, text = [tool("mine")], json.dumps([tool("new")])
    made = (await panel.edited(text, [], [], [], "first", None, request))[panel.made]
    used = await panel.used(made, "first", settings, mine, text, request)
    assert used[shared.tools] == used[panel.hand] == [tool("new")]
    settings.replace({}, chat="other")  # the fields do not have those of the chat that is open
    assert shared.tools not in await panel.used(made, "first", settings, mine, text, request)
    dropped = await panel.used(made, "second", TabSettings(), mine, text, request)
    assert shared.tools not in dropped and panel.text not in dropped
    assert dropped[panel.hand] == mine and "Another chat was opened" in dropped[panel.wrong]
    assert (await panel.used(made, "second", TabSettings(), mine, json.dumps(mine), request))[panel.wrong] == ""
