"""Tool calls of an answer: answered by hand, or run after they were confirmed. One of them is shown at a time.

What is done is done to the call that the browser showed, or to none: by then the tab may have turned to another chat.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, Final

import gradio as gr
from markupsafe import Markup

from ggufrun.errors import GgufrunError
from ggufrun.ui.errors import say
from ggufrun.ui.shared import Shared, now
from ggufrun.ui.tools.allowed import Allowed
from ggufrun.ui.tools.call_html import call_html
from ggufrun.ui.tools.naming import server_of
from ggufrun.ui.tools.results import shortened
from ggufrun.ui.tools.session import McpChanged
from ggufrun.ui.tools.work import REFUSED, Work

Updates = dict[Any, Any]  # by component
MOST_ROUNDS: Final = 25  # answers to one question whose calls run by themselves: somebody should look then
_AGAIN_S: Final = 3.0  # by then the chat has stored results, or said why it has not
_SENDING: Final = "The results are sent …"
_NOT_TAKEN: Final = "The chat has not gone on with these results. They are kept here: send them again."
_OTHER: Final = "Another chat is open by now: nothing was sent."
_GONE: Final = "That call is not open any more: nothing was done."
_ENOUGH: Final = f"Tools have run {MOST_ROUNDS} times for this question. Look at what they do before they go on."
_QUIET: Final[Mapping[str, Any]] = {"show_progress": "hidden", "api_visibility": "private"}
_QUICK: Final[Mapping[str, Any]] = {**_QUIET, "queue": False}
_LONG: Final[Mapping[str, Any]] = {**_QUIET, "concurrency_limit": None}


def calls_panel(shared: Shared) -> None:
    """Below the chat; seen while calls are pending."""
    panel = _Panel(shared)
    shown = [panel.work, *panel.shown()]
    seen = [panel.mark, panel.work, panel.answer]  # `mark`: of the call that the browser shows
    told = [*shown, shared.allowed_changed]
    run = panel.run.click(panel.ran, seen, shown, **_LONG)
    always = panel.always.click(panel.always_ran, [*seen, shared.allowed], told, **_LONG)
    panel.refuse.click(panel.refused, seen, shown, **_LONG)  # queued: of others Gradio shows no note
    panel.rest.click(panel.rest_refused, seen, shown, **_LONG)
    panel.answer.input(panel.wrote, seen, panel.send, trigger_mode="always_last", **_QUICK)
    panel.back.click(panel.moved(-1), seen, shown, **_QUICK)
    panel.forth.click(panel.moved(1), seen, shown, **_QUICK)
    sent = panel.send.click(panel.sent, [*seen, shared.chat], [shared.results, *shown], **_QUIET)
    came = shared.pending.change(panel.came, [*seen, shared.pending], shown, **_QUICK)
    by_itself = came.then(
        panel.ran_by_itself, [panel.work, shared.allowed, shared.chat], [shared.results, *told], **_LONG
    )
    for each in (sent, by_itself):
        each.then(_wait, panel.work, None, **_LONG).then(panel.again, panel.work, shown, **_QUIET)
    runs = [run, always, by_itself]
    panel.cancel.click(panel.cancelled, seen, shown, cancels=runs, **_QUICK)
    shared.pending.change(None, cancels=runs)


class _Panel:
    """Its components and their handlers."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.work = gr.State(Work())
        self.mark = gr.Textbox(visible="hidden", elem_id="toolmark")
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
                self.always = _button("Always in this chat", "toolalways", visible=False)
                self.cancel = _button("Cancel", "toolcancel", visible=False)
                self.refuse = _button("Refuse", "toolrefuse")
                self.rest = _button("Refuse the rest", "toolrefuserest", visible=False)
                self.back = _button("‹ Previous", "toolback", visible=False)
                self.forth = _button("Next ›", "toolnext", visible=False)
                self.send = _button("Send results", "toolsend", interactive=False, variant="primary")

    def shown(self) -> list[Any]:
        buttons = [self.run, self.always, self.cancel, self.refuse, self.rest, self.back, self.forth, self.send]
        return [self.box, self.mark, self.about, self.answer, *buttons]

    async def came(self, mark: str, work: Work, text: str, pending: list[Any] | None, request: gr.Request) -> Updates:
        """Where the chat could not take the results, these are the same calls again: what was written stays."""
        return await self._show(_written(mark, work, text).anew(pending or []), request)

    async def wrote(self, mark: str, work: Work, text: str) -> Any:
        return gr.Button(interactive=work.mark == mark and work.answered(text).complete)

    async def refused(self, mark: str, work: Work, text: str, request: gr.Request) -> Updates:
        if not _is_shown(mark, work):
            return await self._show(work, request)
        return await self._show(work.answered(REFUSED).onward(), request)

    async def rest_refused(self, mark: str, work: Work, text: str, request: gr.Request) -> Updates:
        """All that have no answer."""
        if not _is_shown(mark, work):
            return await self._show(work, request)
        return await self._show(work.answered(text).all_answered(REFUSED), request)

    def moved(self, by: int) -> Any:
        async def move(mark: str, work: Work, text: str, request: gr.Request) -> Updates:
            work = work.answered(text).moved(by) if _is_shown(mark, work) else work
            return await self._show(work, request)

        return move

    async def ran(self, mark: str, work: Work, text: str, request: gr.Request) -> AsyncIterator[Updates]:
        """Gradio cancels it with the button, with another chat, and with the browser's tab."""
        async for update in self._run(mark, work, text, request):
            yield update

    async def always_ran(
        self, mark: str, work: Work, text: str, allowed: Allowed, request: gr.Request
    ) -> AsyncIterator[Updates]:
        """As `ran`, and from now on without being asked for: this tool, as it is now, in this chat."""
        async for update in self._run(mark, work, text, request, allowed):
            yield update

    async def _run(
        self, shown: str, work: Work, text: str, request: gr.Request, allowed: Allowed | None = None
    ) -> AsyncIterator[Updates]:
        """`shown`: the mark of the call that the browser shows."""
        if not _is_shown(shown, work):
            yield await self._show(work, request)
            return
        arguments, api, mcp = work.call.given(), self._shared.users.api(request), self._shared.mcp
        if arguments is None:
            return
        work = work.answered(text)
        yield self._running(work)
        try:
            mark = ""
            if allowed is not None:
                mark = await mcp.mark(api, work.call.name)
                allowed.allow(work.chat, work.call.name, mark)
                yield {self._shared.allowed_changed: now()}
            outcome = await mcp.call(api, work.call.name, arguments, mark)
        except GgufrunError as error:
            yield await self._show(replace(work, said=str(error)), request)
            return
        said = "The tool reports an error." if outcome.failed else "This is what the tool gave back."
        yield await self._show(replace(work.answered(outcome.text), said=said), request)

    async def ran_by_itself(
        self, work: Work, allowed: Allowed, chat: str, request: gr.Request
    ) -> AsyncIterator[Updates]:
        """The calls that an answer has just made, of tools that the user has allowed; sent where that were all.

        What was found in a chat that was opened, or on another branch, waits for a click.
        """
        marks = [allowed.mark(work.chat, call.name) for call in work.calls]
        if not any(marks) or not work.place.fresh or chat != work.chat:
            yield {self.work: gr.skip()}
            return
        if work.place.round > MOST_ROUNDS:
            yield await self._show(replace(work, said=_ENOUGH), request)
            return
        if not allowed.takes(work.chat, work.place.message):
            yield {self.work: gr.skip()}
            return
        api = self._shared.users.api(request)
        for at, call in enumerate(work.calls):
            arguments = call.given()
            if not marks[at] or arguments is None:
                continue
            work = replace(work, at=at)
            yield {self.work: work, **self._running(work)}
            try:
                outcome = await self._shared.mcp.call(api, call.name, arguments, marks[at])
            except GgufrunError as error:
                if isinstance(error, McpChanged):
                    allowed.revoke(work.chat, call.name)
                told = {self._shared.allowed_changed: now()}
                yield {**await self._show(replace(work, said=str(error)), request), **told}
                return
            work = work.answered(outcome.text)
        yield self._send(work) if work.complete else await self._show(work.onward(), request)

    async def cancelled(self, mark: str, work: Work, text: str, request: gr.Request) -> Updates:
        said = "Cancelled. What it did by then is not known." if work.mark == mark else ""
        return await self._show(replace(_written(mark, work, text), said=said), request)

    async def sent(self, mark: str, work: Work, text: str, chat: str, request: gr.Request) -> Updates:
        """The panel stays until the chat has stored them: only then is nothing pending any more."""
        if not _is_shown(mark, work):
            return await self._show(work, request)
        if chat != work.chat:
            return await self._show(replace(work.answered(text), said=_OTHER), request)
        work = work.answered(text)
        return self._send(work) if work.complete else await self._show(work.onward(), request)

    async def again(self, work: Work, request: gr.Request) -> Updates:
        """The chat has not taken them, and has said why."""
        if not work.is_sent:
            return {self.work: gr.skip()}
        return await self._show(replace(work, is_sent=False, said=_NOT_TAKEN), request)

    def _send(self, work: Work) -> Updates:
        work = replace(work, answers=tuple(map(shortened, work.answers)), is_sent=True)
        busy = self._busy(work, call_html(work, doing=_SENDING))
        return {self._shared.results: work.results(), self.work: work, **busy}

    async def _show(self, work: Work, request: gr.Request) -> Updates:
        if not work.calls:
            return {self.work: work, self.mark: "", self.box: gr.Column(visible=False)}
        server = await self._server_of(work, request)
        many, last = len(work.calls) > 1, work.at == len(work.calls) - 1
        return {
            self.work: work,
            self.mark: work.mark,
            self.box: gr.Column(visible=True),
            self.about: call_html(work, server),
            self.answer: gr.Textbox(work.answer, label=_label(server), interactive=True),
            self.run: gr.Button("Run again" if server and work.answer else "Run", visible=bool(server)),
            self.always: gr.Button(visible=bool(server and work.chat)),
            self.cancel: gr.Button(visible=False),
            self.refuse: gr.Button(visible=True),
            self.rest: gr.Button(f"Refuse the other {work.unanswered}", visible=many and work.unanswered > 1),
            self.back: gr.Button(visible=many, interactive=work.at > 0),
            self.forth: gr.Button(visible=many, interactive=not last),
            self.send: gr.Button(interactive=work.complete),
        }

    def _running(self, work: Work) -> Updates:
        return {**self._busy(work, call_html(work, doing="It runs …")), self.cancel: gr.Button(visible=True)}

    def _busy(self, work: Work, about: Markup) -> Updates:
        off = gr.Button(interactive=False)
        buttons = {each: gr.Button(visible=False) for each in (self.run, self.always, self.refuse, self.rest)}
        return {
            self.box: gr.Column(visible=True),
            self.mark: work.mark,
            self.about: about,
            self.answer: gr.Textbox(work.answer, interactive=False),
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


def _is_shown(mark: str, work: Work) -> bool:
    """Says where it is not."""
    is_shown = bool(work.calls) and work.mark == mark
    if not is_shown:
        say(_GONE)
    return is_shown


def _written(mark: str, work: Work, text: str) -> Work:
    """With what stands in the box, where that is of the call that the server has."""
    return work.answered(text) if work.calls and work.mark == mark else work


async def _wait(work: Work) -> None:
    """Nothing can be sent meanwhile, or two clicks would send it twice."""
    if work.is_sent:
        await asyncio.sleep(_AGAIN_S)


def _button(words: str, elem_id: str, **more: Any) -> gr.Button:
    return gr.Button(words, elem_id=elem_id, size="sm", scale=0, min_width=90, **more)


def _label(server: str) -> str:
    return "Its result, or an answer by hand" if server else "Answer by hand"
