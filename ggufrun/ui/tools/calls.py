"""Tool calls of an answer: answered by hand, or run after they were confirmed. One of them is shown at a time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, Final

import gradio as gr
from markupsafe import Markup

from ggufrun.errors import GgufrunError
from ggufrun.ui.errors import say
from ggufrun.ui.shared import Shared
from ggufrun.ui.tools.call_html import call_html
from ggufrun.ui.tools.naming import server_of
from ggufrun.ui.tools.results import shortened
from ggufrun.ui.tools.work import MOST, REFUSED, Work

Updates = dict[Any, Any]  # by component
_AGAIN_S: Final = 3.0  # by then the chat has stored results, or said why it has not
_SENDING: Final = "The results are sent …"
_NOT_TAKEN: Final = "The chat has not gone on with these results. They are kept here: send them again."
_OTHER: Final = "Another chat is open by now: nothing was sent."
_QUIET: Final[Mapping[str, Any]] = {"show_progress": "hidden", "api_visibility": "private"}
_QUICK: Final[Mapping[str, Any]] = {**_QUIET, "queue": False}


def calls_panel(shared: Shared) -> None:
    """Below the chat; seen while calls are pending."""
    panel = _Panel(shared)
    shown = [panel.work, *panel.shown()]
    run = panel.run.click(panel.ran, [panel.work, panel.answer], shown, concurrency_limit=None, **_QUIET)
    panel.cancel.click(panel.cancelled, [panel.work, panel.answer], shown, cancels=[run], **_QUICK)
    panel.refuse.click(panel.refused, panel.work, shown, **_QUICK)
    panel.answer.input(panel.wrote, [panel.work, panel.answer], panel.send, trigger_mode="always_last", **_QUICK)
    panel.back.click(panel.moved(-1), [panel.work, panel.answer], shown, **_QUICK)
    panel.forth.click(panel.moved(1), [panel.work, panel.answer], shown, **_QUICK)
    given = [panel.work, panel.answer, shared.pending, shared.chat]
    sent = panel.send.click(panel.sent, given, [shared.results, *shown], **_QUIET)
    waiting = sent.then(_wait, None, None, concurrency_limit=None, **_QUIET)
    waiting.then(panel.again, panel.work, shown, **_QUIET)
    shared.pending.change(panel.came, given, shown, cancels=[run], **_QUICK)


class _Panel:
    """Its components and their handlers."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.work = gr.State(Work())
        with gr.Column(visible=False, elem_id="toolcalls") as self.box:
            self.about = gr.HTML(elem_id="toolcall")
            self.answer = gr.Textbox(
                label="Answer by hand",
                lines=2,
                max_lines=10,
                elem_id="toolanswer",
                placeholder="What the tool gives back",
            )
            with gr.Row(elem_id="toolbuttons"):
                self.run = _button("Run", "toolrun")
                self.cancel = _button("Cancel", "toolcancel", visible=False)
                self.refuse = _button("Refuse", "toolrefuse")
                self.back = _button("‹ Previous", "toolback", visible=False)
                self.forth = _button("Next ›", "toolnext", visible=False)
                self.send = _button("Send results", "toolsend", interactive=False, variant="primary")

    def shown(self) -> list[Any]:
        return [self.box, self.about, self.answer, self.run, self.cancel, self.refuse, self.back, self.forth, self.send]

    async def came(self, work: Work, text: str, pending: list[Any] | None, chat: str, request: gr.Request) -> Updates:
        """Where the chat could not take the results, these are the same calls again: what was written stays."""
        work = (work.answered(text) if work.calls else work).anew(pending or [], chat)
        if len(pending or []) > MOST:
            say(f"The answer has {len(pending or [])} tool calls. Only the first {MOST} are shown; answer it anew.")
        return await self._show(work, request)

    async def wrote(self, work: Work, text: str) -> Any:
        return gr.Button(interactive=bool(work.calls) and work.answered(text).complete)

    async def refused(self, work: Work, request: gr.Request) -> Updates:
        return await self._show(work.answered(REFUSED).onward(), request)

    def moved(self, by: int) -> Any:
        async def move(work: Work, text: str, request: gr.Request) -> Updates:
            return await self._show(work.answered(text).moved(by), request)

        return move

    async def ran(self, work: Work, text: str, request: gr.Request) -> AsyncIterator[Updates]:
        """Gradio cancels it with the button, with another chat, and with the browser's tab."""
        arguments = work.call.given()
        if arguments is None:
            return
        yield {
            **self._busy(call_html(work, doing="It runs …")),
            self.cancel: gr.Button(visible=True),
        }
        try:
            outcome = await self._shared.mcp.call(self._shared.users.api(request), work.call.name, arguments)
        except GgufrunError as error:
            yield await self._show(replace(work.answered(text), said=str(error)), request)
            return
        said = "The tool reports an error." if outcome.failed else "This is what the tool gave back."
        yield await self._show(replace(work.answered(outcome.text), said=said), request)

    async def cancelled(self, work: Work, text: str, request: gr.Request) -> Updates:
        return await self._show(
            replace(work.answered(text), said="Cancelled. What it did by then is not known."), request
        )

    async def sent(self, work: Work, text: str, pending: list[Any], chat: str, request: gr.Request) -> Updates:
        """The panel stays until the chat has stored them: only then is nothing pending any more."""
        if chat != work.chat:
            return await self._show(replace(Work.of(pending, chat), said=_OTHER), request)
        work = work.answered(text)
        if not work.complete:
            return await self._show(work.onward(), request)
        work = replace(work, answers=tuple(map(shortened, work.answers)), is_sent=True)
        return {self._shared.results: work.results(), self.work: work, **self._busy(call_html(work, doing=_SENDING))}

    async def again(self, work: Work, request: gr.Request) -> Updates:
        """The chat has not taken them, and has said why."""
        if not work.is_sent:
            return {self.work: gr.skip()}
        return await self._show(replace(work, is_sent=False, said=_NOT_TAKEN), request)

    async def _show(self, work: Work, request: gr.Request) -> Updates:
        if not work.calls:
            return {self.work: work, self.box: gr.Column(visible=False)}
        server = await self._server_of(work, request)
        many, last = len(work.calls) > 1, work.at == len(work.calls) - 1
        return {
            self.work: work,
            self.box: gr.Column(visible=True),
            self.about: call_html(work, server),
            self.answer: gr.Textbox(work.answer, label=_label(server), interactive=True),
            self.run: gr.Button("Run again" if server and work.answer else "Run", visible=bool(server)),
            self.cancel: gr.Button(visible=False),
            self.refuse: gr.Button(visible=True),
            self.back: gr.Button(visible=many, interactive=work.at > 0),
            self.forth: gr.Button(visible=many, interactive=not last),
            self.send: gr.Button(interactive=work.complete),
        }

    def _busy(self, about: Markup) -> Updates:
        off = gr.Button(interactive=False)
        buttons = {each: gr.Button(visible=False) for each in (self.run, self.refuse)}
        return {
            self.about: about,
            self.answer: gr.Textbox(interactive=False),
            **buttons,
            **dict.fromkeys((self.back, self.forth, self.send), off),
        }

    async def _server_of(self, work: Work, request: gr.Request) -> str:
        """The MCP server that could run the call that is shown; "" for none, or where its arguments are no JSON."""
        if work.call.given() is None:
            return ""
        try:
            servers = await self._shared.mcp.of(self._shared.users.api(request))
        except GgufrunError:
            return ""  # answering by hand needs none
        return server_of(work.call.name, servers)


async def _wait() -> None:
    """Nothing can be sent meanwhile, or two clicks would send it twice."""
    await asyncio.sleep(_AGAIN_S)


def _button(words: str, elem_id: str, **more: Any) -> gr.Button:
    return gr.Button(words, elem_id=elem_id, size="sm", scale=0, min_width=90, **more)


def _label(server: str) -> str:
    return "Its result, or an answer by hand" if server else "Answer by hand"
