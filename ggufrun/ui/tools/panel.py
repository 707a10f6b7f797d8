"""The tools that a model is told of: as JSON, and those of MCP servers."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import gradio as gr
from markupsafe import Markup

from ggufrun.errors import GgufrunError
from ggufrun.ui.settings.tab_settings import TabSettings
from ggufrun.ui.shared import Shared
from ggufrun.ui.tools import choice
from ggufrun.ui.tools.allowed import Allowed
from ggufrun.ui.tools.choice import Servers
from ggufrun.ui.tools.made import Linked, Made
from ggufrun.ui.tools.naming import server_of
from ggufrun.ui.tools.session import McpFailed
from ggufrun.ui.tools.written import EXAMPLE, BadTools, Tool, check, check_names, read, reads, tool_name, written

Updates = dict[Any, Any]  # by component
_LABEL: Final = "A list, as in /v1/chat/completions"
_OTHER: Final = "Another chat was opened meanwhile, so this is not used. Change it again for this one."
_QUIET: Final[Mapping[str, Any]] = {"show_progress": "hidden", "api_visibility": "private"}
_QUICK: Final[Mapping[str, Any]] = {**_QUIET, "queue": False}
_SETS: Final[Mapping[str, Any]] = {**_QUIET, "concurrency_limit": None}  # queued, or nobody would hear of it: `shared`
_LAST: Final[Mapping[str, Any]] = {**_SETS, "trigger_mode": "always_last"}


def tools_panel(shared: Shared) -> None:
    """Within the settings."""
    panel = _Panel(shared)
    everything = panel.outputs()
    gr.on(None, panel.loaded, None, [panel.servers, panel.failed], **_QUICK)
    looked_at = [panel.text, *panel.kept, panel.shown_in, shared.model]
    panel.text.input(panel.edited, looked_at, everything, **_LAST)
    panel.example.click(panel.exampled, looked_at, everything, **_SETS)
    panel.theirs.input(panel.ticked, [*panel.kept, panel.shown_in], everything, **_LAST)
    servers = [panel.servers, panel.failed, panel.linked]
    connecting = panel.servers.input(panel.connect, [panel.servers, panel.was, panel.shown_in], servers, **_SETS)
    connecting.then(
        panel.chosen, [panel.linked, shared.chat, shared.tools, panel.was, *panel.kept], everything, **_SETS
    )
    made = [panel.made, shared.chat, shared.settings, shared.tools, panel.text]
    panel.made.change(panel.used, made, everything, **_SETS)
    shared.tools.change(panel.heard, [shared.tools, panel.mine], everything, **_QUICK)
    shared.results.change(panel.told, None, panel.servers, **_QUICK)
    allowed = [panel.allowed, panel.shown_in]
    panel.allowed.input(panel.revoked, [*allowed, shared.allowed, shared.chat], allowed, **_QUICK)
    heard = [shared.allowed_changed.change, shared.chat.change]
    gr.on(heard, panel.may_run, [shared.allowed, shared.chat], allowed, **_QUICK)


class _Panel:
    """Its components and their handlers."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.text = gr.Code(language="json", label=_LABEL, lines=4, max_lines=16, elem_id="toolsjson", buttons=[])
        self.wrong = gr.HTML(elem_id="toolswrong")
        self.example = gr.Button("Add an example", size="sm", elem_id="toolexample")
        self.servers = _boxes("MCP servers of ggufrun.toml", "mcpservers")
        self.failed = gr.HTML(elem_id="mcpfailed")
        self.theirs = _boxes("Their tools", "mcptools")
        self.allowed = _boxes("In this chat these run without asking", "mcpallowed")
        self.shown_in = gr.Textbox(visible="hidden")  # the chat that is open, as the browser knows it
        self.hand = gr.State([])  # the written tools, as they were when they were last right
        self.known = gr.State([])  # MCP tools of the chat that was opened: their servers need not be connected
        self.was = gr.State([])  # the servers that were ticked before
        self.mine = gr.State([])  # what was last set from here
        self.linked = gr.State(None)  # `Linked`
        self.made = gr.State(None)  # `Made`
        self.kept = [self.theirs, self.hand, self.known]

    def outputs(self) -> list[Any]:
        shown = [self.text, self.wrong, self.servers, self.failed, self.theirs]
        return [self._shared.tools, *shown, self.hand, self.known, self.was, self.mine, self.made]

    async def loaded(self, request: gr.Request) -> Updates:
        """The file is read again whenever somebody opens the page who may use what is in it."""
        try:
            servers = await self._shared.mcp.fresh(self._shared.users.api(request))
        except GgufrunError as error:
            return {self.failed: _wrong(error)}
        return {self.servers: gr.CheckboxGroup(choices=choice.listed(servers), visible=bool(servers)), self.failed: ""}

    async def edited(
        self,
        text: str | None,
        ticked: list[str],
        hand: list[Tool],
        known: list[Tool],
        chat: str,
        model: str | None,
        request: gr.Request,
    ) -> Updates:
        try:
            servers = await self._servers(request)
            hand = read(text or "")
            check_names(hand, servers)
            await check(hand, model, self._shared.users.api(request))
        except GgufrunError as error:
            return {self.wrong: _wrong(error)}
        return {self.wrong: "", **self._make(chat, hand, ticked, known, servers)}

    async def exampled(
        self,
        text: str | None,
        ticked: list[str],
        hand: list[Tool],
        known: list[Tool],
        chat: str,
        model: str | None,
        request: gr.Request,
    ) -> Updates:
        """Below what is written."""
        try:
            there = read(text or "")
        except BadTools as error:
            return {self.wrong: _wrong(error)}
        if tool_name(EXAMPLE) in map(tool_name, there):
            return {self.wrong: ""}
        added = written([*there, EXAMPLE])
        return {self.text: added, **await self.edited(added, ticked, hand, known, chat, model, request)}

    async def ticked(
        self, ticked: list[str], hand: list[Tool], known: list[Tool], chat: str, request: gr.Request
    ) -> Updates:
        try:
            return self._make(chat, hand, ticked, known, await self._servers(request))
        except GgufrunError as error:
            return {self.failed: _wrong(error)}

    async def connect(
        self, chosen: list[str], was: list[str], chat: str, request: gr.Request
    ) -> AsyncIterator[Updates]:
        """To those that are new. Those that fail are not ticked any more."""
        try:
            servers = await self._servers(request)
        except GgufrunError as error:
            yield {self.failed: _wrong(error), self.servers: gr.CheckboxGroup(value=was), self.linked: None}
            return
        new = [name for name in chosen if name in servers and name not in was]
        if any(servers[name].state != "connected" for name in new):
            labels = choice.listed(servers, connecting=new)
            yield {self.servers: gr.CheckboxGroup(choices=labels, interactive=False), self.failed: ""}
        failed: list[str] = []
        for name in new:
            try:
                await servers[name].connect()
            except McpFailed as error:
                failed.append(f"{name}: {error}")
                chosen = [each for each in chosen if each != name]
        boxes = gr.CheckboxGroup(choices=choice.listed(servers), interactive=True)
        yield {
            self.servers: boxes,
            self.failed: Markup("").join(map(_wrong, failed)),
            self.linked: Linked(chosen, chat),
        }

    async def chosen(
        self,
        linked: Linked | None,
        chat: str,
        tools: list[Tool],
        was: list[str],
        ticked: list[str],
        hand: list[Tool],
        known: list[Tool],
        request: gr.Request,
    ) -> Updates:
        """All tools of a server that is new are ticked."""
        if linked is None:
            return {self.mine: gr.skip()}
        if linked.chat != chat:
            return {**await self._ticks(tools, request), self.failed: _wrong(_OTHER)}
        try:
            servers = await self._servers(request)
        except GgufrunError as error:
            return {self.failed: _wrong(error)}
        offered = choice.offered(linked.chosen, known, servers)
        names = [name for _, name in offered]
        new = [name for name in linked.chosen if name not in was]
        ticked = [name for name in names if name in ticked or server_of(name, new)]
        return {
            self.servers: gr.CheckboxGroup(value=linked.chosen),
            self.theirs: gr.CheckboxGroup(choices=offered, value=ticked, visible=bool(offered)),
            self.was: linked.chosen,
            **self._make(chat, hand, ticked, known, servers),
        }

    async def used(
        self,
        made: Made | None,
        chat: str,
        settings: TabSettings,
        tools: list[Tool],
        text: str | None,
        request: gr.Request,
    ) -> Updates:
        """Unless another chat was opened when it was made, or since: what is shown is that one's, or will be."""
        if made is None:
            return {self.mine: gr.skip()}
        if made.chat == chat and (not chat or settings.chat in ("", chat)):
            return {self._shared.tools: made.tools, self.mine: made.tools, self.hand: made.hand}
        ticks = await self._ticks(tools, request)
        return {**ticks, self.wrong: "" if reads(text or "", ticks[self.hand]) else _wrong(_OTHER)}

    async def heard(self, tools: list[Tool] | None, mine: list[Tool], request: gr.Request) -> Any:
        """A chat was opened, or a preset: shown as if it had been written and ticked here. Connects to nothing."""
        tools = tools or []
        if tools == mine:
            return {self.mine: gr.skip()}
        ticks = await self._ticks(tools, request)
        return {**ticks, self.text: written(ticks[self.hand]), self.wrong: "", self.failed: ""}

    async def _ticks(self, tools: list[Tool], request: gr.Request) -> Updates:
        """All that is shown of a chat's tools, without the text."""
        try:
            servers = await self._servers(request)
        except GgufrunError:
            servers = {}  # the chat itself says that the server does not answer
        hand, known = choice.apart(tools, servers)
        ticked = [tool_name(tool) for tool in known]
        chosen = [name for name in servers if any(server_of(each, (name,)) for each in ticked)]
        offered = choice.offered(chosen, known, servers)
        return {
            self.servers: gr.CheckboxGroup(choices=choice.listed(servers), value=chosen, visible=bool(servers)),
            self.theirs: gr.CheckboxGroup(choices=offered, value=ticked, visible=bool(offered)),
            self.hand: hand,
            self.known: known,
            self.was: chosen,
            self.mine: tools,
        }

    async def told(self, request: gr.Request) -> Any:
        """A call may have connected to a server, or lost it."""
        try:
            return gr.CheckboxGroup(choices=choice.listed(await self._servers(request)))
        except GgufrunError:
            return gr.skip()  # it says how they are, no more

    async def may_run(self, allowed: Allowed, chat: str) -> tuple[gr.CheckboxGroup, str]:
        names = allowed.of(chat)
        return gr.CheckboxGroup(choices=names, value=names, visible=bool(names)), chat

    async def revoked(self, ticked: list[str], shown: str, allowed: Allowed, chat: str) -> tuple[gr.CheckboxGroup, str]:
        """What is not ticked any more, of the chat that was `shown`. Nothing is allowed here."""
        for name in allowed.of(shown):
            if name not in ticked:
                allowed.revoke(shown, name)
        return await self.may_run(allowed, chat)

    def _make(self, chat: str, hand: list[Tool], ticked: Sequence[str], known: list[Tool], servers: Servers) -> Updates:
        return {self.made: Made(choice.together(hand, ticked, known, servers), hand, chat)}

    async def _servers(self, request: gr.Request) -> Servers:
        return await self._shared.mcp.of(self._shared.users.api(request))


def _boxes(label: str, elem_id: str) -> gr.CheckboxGroup:
    return gr.CheckboxGroup([], label=label, visible=False, elem_id=elem_id)


def _wrong(error: GgufrunError | str) -> Markup:
    return Markup('<p role="alert">{}</p>').format(str(error))
