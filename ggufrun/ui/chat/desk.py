"""What the user does with the chat: ask, edit, answer anew, go on, switch branches, open, stop."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from functools import wraps
from typing import Any, Final, ParamSpec

import gradio as gr

from ggufrun.errors import GgufrunError
from ggufrun.ui.ask.content import content_of
from ggufrun.ui.chat.answering import CHATS, Answering, Updates
from ggufrun.ui.chat.conversation import Conversation, Json, Said
from ggufrun.ui.chat.facts import facts
from ggufrun.ui.chat.markup import wild
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.chat.trouble import tell
from ggufrun.ui.chat.view import Changes, View
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError, warn
from ggufrun.ui.shared import ToolResult

P = ParamSpec("P")
_BUSY: Final = "An answer is being written here. Stop it first, or wait for its end."
_GONE: Final = "This chat is not here: it was deleted, or it is another user's."


def _to_the_end(handler: Callable[P, Updates]) -> Callable[P, Updates]:
    """What Gradio's streams of updates need.

    Its browser side changes an update of properties in place, into the next one, perhaps before it has looked at it: so
    that of the box is in each. What this leaves behind in the end is what the tab is at by then. And the last update
    is sent twice, with None for everything where there was none: it has to be a small one.
    """

    @wraps(handler)
    async def handled(*args: P.args, **kwargs: P.kwargs) -> Updates:
        desk = next(each for each in args if isinstance(each, Desk))
        tab = next(each for each in (*args, *kwargs.values()) if isinstance(each, Tab))
        buttons: Changes = {}
        async with aclosing(handler(*args, **kwargs)) as updates:
            async for update in updates:
                buttons = {each: value for each, value in {**buttons, **update}.items() if each is desk.view.ask}
                yield {**buttons, **update}
        yield desk.view.settled(tab)

    return handled


class Desk:
    """Handlers of events. Those that answer go on until the answer is over, or the tab has turned to something else."""

    def __init__(self, view: View) -> None:
        self.view = view

    @_to_the_end
    async def send(self, value: Json, model: str | None, settings: Json, tab: Tab, request: gr.Request) -> Updates:
        api = self._api(request)
        if self._refuses(tab):
            return
        try:
            content = await content_of(value, api, model)
        except GgufrunError as error:
            tell(error)
            return
        if not content or (isinstance(content, str) and not content.strip()):
            return
        asked = _asked(model, settings)
        is_new = not tab.conversation.id
        if is_new:
            try:
                made = await api.post(CHATS, asked)
            except ApiError as error:
                tell(error)
                return
            tab.show(Conversation.of(made))
        head = tab.conversation.head
        body = {**asked, "message": {"content": content, **({"parent": head} if head else {})}}
        async for update in Answering(self.view, tab, api).ask(body, is_new=is_new, sent=True):
            yield update

    @_to_the_end
    async def example(
        self, event: gr.SelectData, model: str | None, settings: Json, tab: Tab, request: gr.Request
    ) -> Updates:
        """A question that an empty chat proposes."""
        text = event.value.get("text") if isinstance(event.value, dict) else event.value
        async for update in self.send({"text": text}, model, settings, tab, request):
            yield update

    @_to_the_end
    async def deed(
        self, event: gr.EventData, model: str | None, settings: Json, tab: Tab, request: gr.Request
    ) -> Updates:
        """Of the buttons that the page's script puts at the messages, and of the script itself."""
        told = event._data if isinstance(event._data, dict) else {}
        match told.get("do"):
            case "switch":
                updates = self.switch(str(told.get("to")), tab, request)
            case "again":
                updates = self.again(model, settings, tab, request)
            case "continue":
                updates = self.go_on(model, settings, tab, request)
            case _:
                updates = self.looked(tab, request)
        async for update in updates:
            yield update

    @_to_the_end
    async def edit(
        self,
        event: gr.EditData,
        model: str | None,
        settings: Json,
        tab: Tab,
        request: gr.Request,
    ) -> Updates:
        """A question asked in other words stands beside the old one."""
        row = tab.shown[int(event.index)] if isinstance(event.index, int) and event.index < len(tab.shown) else None
        message = next((each for each in tab.conversation.branch if row and each.id == row.message), None)
        if row is None or message is None or row.kind != "text" or message.role != "user" or self._refuses(tab):
            yield self.view.whole(tab)  # the browser has changed it already
            return
        content = _edited(message, row.part, wild(str(event.value)))
        chat = tab.conversation
        tab.show(chat.shows(message.parent))
        yield self.view.whole(tab)
        tab.show(chat)
        body = {**_asked(model, settings), "message": {"content": content, "sibling_of": message.id}}
        async for update in Answering(self.view, tab, self._api(request)).ask(body):
            yield update

    @_to_the_end
    async def again(self, model: str | None, settings: Json, tab: Tab, request: gr.Request) -> Updates:
        """Another answer stands beside the last one."""
        last = tab.conversation.last
        if last is None or self._refuses(tab):
            return
        parent = last.parent if last.role == "assistant" else last.id
        if parent is None:
            return
        async for update in self._beside(tab, parent, {**_asked(model, settings), "parent": parent}, request):
            yield update

    async def go_on(self, model: str | None, settings: Json, tab: Tab, request: gr.Request) -> Updates:
        last = tab.conversation.last
        if last is None or last.role != "assistant" or self._refuses(tab):
            return
        body = {**_asked(model, settings), "continue": last.id}
        async for update in self._beside(tab, last.parent, body, request):
            yield update

    async def _beside(self, tab: Tab, parent: str | None, body: Json, request: gr.Request) -> Updates:
        """The answer that was there makes place while the other one comes."""
        chat = tab.conversation
        tab.show(chat.shows(parent))
        yield self.view.whole(tab)
        tab.show(chat)
        async for update in Answering(self.view, tab, self._api(request)).ask(body):
            yield update

    @_to_the_end
    async def results(
        self,
        results: list[ToolResult],
        model: str | None,
        settings: Json,
        tab: Tab,
        request: gr.Request,
    ) -> Updates:
        """The tools have answered: the model goes on with that."""
        chat, api = tab.conversation, self._api(request)
        if not results or not chat.id or tab.is_busy:
            return
        try:
            for each in results:
                message = {"role": "tool", "content": each.content, "tool_call_id": each.call, "name": each.name}
                added = await api.post(f"{CHATS}/{chat.id}/messages", {**message, "parent": chat.head})
                chat = chat.with_added(Said.of(added), run=None)
        except ApiError as error:
            tell(error)
            return
        tab.show(chat)
        yield self.view.whole(tab)
        body = {**_asked(model, settings), "parent": chat.head}
        async for update in Answering(self.view, tab, api).ask(body):
            yield update

    async def switch(self, to: str, tab: Tab, request: gr.Request) -> Updates:
        """Show the newest branch below a message."""
        if self._refuses(tab):
            return
        chat = tab.conversation
        tab.show(chat.shows(chat.leaf(to)))
        yield {**self.view.whole(tab), **self.view.idle(tab)}
        try:
            await self._api(request).patch(f"{CHATS}/{chat.id}", {"head": tab.conversation.head})
        except ApiError as error:
            tell(error)

    async def stop(self, tab: Tab, request: gr.Request) -> None:
        api, chat = self._api(request), tab.conversation
        try:
            run = chat.run or (await api.get(f"{CHATS}/{chat.id}"))["run"]  # it may not have begun to answer
            if run is not None:
                await api.delete(f"{CHATS}/{chat.id}/runs/{run}")
        except ApiError as error:
            tell(error)

    @_to_the_end
    async def loaded(self, tab: Tab, request: gr.Request) -> Updates:
        """The page's address names the chat that was open."""
        if chat := str(dict(request.query_params).get("chat") or ""):
            async for update in self.opened(chat, tab, request):
                yield update

    def faded(self, settings: Json | None, tab: Tab) -> Any:
        """What the model reads of the chat may have changed."""
        chat, left_out = tab.conversation, (settings or {}).get("left_out")
        if left_out == chat.settings.get("left_out"):
            return gr.skip()
        tab.conversation = replace(chat, settings={**chat.settings, "left_out": left_out})
        return facts(tab.conversation, tab.shown)

    @_to_the_end
    async def opened(self, chat: str, tab: Tab, request: gr.Request) -> Updates:
        """`shared.chat` has changed: by this part itself, or by the list of chats."""
        if chat == tab.conversation.id:
            return
        reading = tab.turn()
        try:
            found = Conversation.of(await self._api(request).get(f"{CHATS}/{chat}")) if chat else Conversation()
        except ApiError as error:
            if not reading.left:
                tab.over()
                tab.show(Conversation())
                yield {**self.view.opened(tab), self.view.shared.chat: ""}
            warn(_GONE) if error.status == 404 else tell(error)
            return
        if reading.left:
            return
        tab.over()
        tab.show(_at_run(found))
        yield {**self.view.opened(tab), self.view.shared.chat: chat}
        async for update in self._attached(tab, request):
            yield update

    async def looked(self, tab: Tab, request: gr.Request) -> Updates:
        """The user has come back to this tab: another one may have gone on with the chat."""
        chat = tab.conversation
        if not chat.id or tab.is_busy:
            return
        try:
            found = Conversation.of(await self._api(request).get(f"{CHATS}/{chat.id}"))
        except ApiError:
            return  # whatever is wrong is said when something is asked for
        is_same = (found.updated, found.head, found.run) == (chat.updated, chat.head, chat.run)
        if is_same or tab.conversation is not chat or tab.is_busy:
            return
        tab.show(_at_run(found))
        yield {**self.view.whole(tab), **self.view.idle(tab)}
        async for update in self._attached(tab, request):
            yield update

    async def _attached(self, tab: Tab, request: gr.Request) -> Updates:
        """Read along what is under way, if anything is."""
        if tab.conversation.run is None:
            return
        reading = tab.turn()
        yield self.view.waits()
        async for update in Answering(self.view, tab, self._api(request)).read(reading):
            yield update

    def _refuses(self, tab: Tab) -> bool:
        if tab.is_busy:
            warn(_BUSY)
        return tab.is_busy

    def _api(self, request: gr.Request) -> Api:
        return self.view.shared.users.api(request)


def _asked(model: str | None, settings: Json) -> Json:
    """How the answer is asked for, whatever the chat was begun with."""
    return {"model": model or "", "settings": settings or {}}


def _at_run(chat: Conversation) -> Conversation:
    """Shows the branch that is being answered."""
    answer = next((each for each in chat.messages if chat.run and each.meta.get("run") == chat.run), None)
    return chat if answer is None else chat.shows(answer.id)


def _edited(message: Said, part: int | None, text: str) -> Any:
    if part is None or isinstance(message.content, str):
        return text
    return [{**each, "text": text} if at == part else dict(each) for at, each in enumerate(message.content)]
