"""What the user does with the chat: ask, edit, answer anew, go on, switch branches.

Which chat it is says `opening.py`; an answer that comes is read along, and stopped, in `following.py`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import gradio as gr

from ggufrun.errors import GgufrunError
from ggufrun.ui.ask.content import content_of, title_of
from ggufrun.ui.chat.answering import Answering
from ggufrun.ui.chat.conversation import Conversation, Json, Said
from ggufrun.ui.chat.following import Following
from ggufrun.ui.chat.handling import CHATS, Updates, has_moved, path, refuses, to_the_end
from ggufrun.ui.chat.markup import wild
from ggufrun.ui.chat.opening import Opening
from ggufrun.ui.chat.rows import Row
from ggufrun.ui.chat.seen import Seen
from ggufrun.ui.chat.stopping import Stopping
from ggufrun.ui.chat.tab import Tab, asked_in
from ggufrun.ui.chat.trouble import tell
from ggufrun.ui.chat.view import Changes, View
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError, warn
from ggufrun.ui.settings.tab_settings import TabSettings
from ggufrun.ui.shared import LeftOut, ToolResult, now

_ALL: Final[Json] = {"system": None, "sampling": {}, "schema": None, "tools": None}
_NOT_SENT: Final = "The results were not sent: the chat has gone on, or is being answered. Look at them again."


class Desk:
    """Handlers of events. Those that ask take the tab at once, before anything is waited for: there is one answer.

    `seen`: what the browser showed then, a `Seen` as its script tells it.
    """

    def __init__(self, view: View) -> None:
        self.view, self.opening, self.following = view, Opening(view), Following(view)
        self.stopping = Stopping(view.shared.users)

    @to_the_end
    async def send(
        self,
        value: Json | None,
        seen: Any,
        model: str | None,
        settings: TabSettings,
        tab: Tab,
        request: gr.Request,
        *fields: Any,
    ) -> Updates:
        asked, seen = asked_in(value), Seen.of(seen)
        is_twice = tab.is_busy and asked == tab.asked and seen.is_of(tab)  # Enter, twice
        if is_twice or refuses(tab, seen):
            return
        asked_for = _asked(model, settings, tab, fields)
        with tab.turned() as reading:
            tab.asked, api = asked, self._api(request)
            try:
                content = await content_of(value, api, model)
                if not content or (isinstance(content, str) and not content.strip()) or reading.left:
                    return
                is_new = not tab.conversation.id
                if is_new:
                    settings.begin()
                    begun_with = settings.now
                    begun = {"model": model or "", "settings": begun_with, "title": title_of(content)}
                    made = Conversation.of(await api.post(CHATS, begun))
            except GgufrunError as error:
                tell(error)
                return
            if reading.left:
                if is_new:
                    await Answering(self.view, tab, api).forget(made)
                return
            if is_new:
                tab.show(made)
                tab.wanted = made.id
            head = tab.conversation.head
            body = {**asked_for, "message": {"content": content, **({"parent": head} if head else {})}}
            async for update in Answering(self.view, tab, api).ask(reading, body, is_new=is_new, sent=asked):
                yield update
                if is_new and tab.conversation.id == made.id:
                    await _kept(settings, api, made.id, begun_with)

    @to_the_end
    async def example(
        self,
        event: gr.SelectData,
        seen: Any,
        model: str | None,
        settings: TabSettings,
        tab: Tab,
        request: gr.Request,
        *fields: Any,
    ) -> Updates:
        """A question that an empty chat proposes."""
        text = event.value.get("text") if isinstance(event.value, dict) else event.value
        async for update in self.send({"text": text}, seen, model, settings, tab, request, *fields):
            yield update

    @to_the_end
    async def deed(
        self, event: gr.EventData, model: str | None, settings: TabSettings, tab: Tab, request: gr.Request, *fields: Any
    ) -> Updates:
        """Of the buttons that the page's script puts at the messages, and of the script itself."""
        told = event._data if isinstance(event._data, dict) else {}
        seen = told.get("seen")
        match told.get("do"):
            case "switch":
                updates = self.switch(str(told.get("to")), seen, tab, request)
            case "again":
                updates = self.again(seen, model, settings, tab, request, *fields)
            case "continue":
                updates = self.go_on(seen, model, settings, tab, request, *fields)
            case _:
                updates = self.opening.looked(settings, tab, request)
        async for update in updates:
            yield update

    @to_the_end
    async def edit(
        self,
        event: gr.EditData,
        seen: Any,
        model: str | None,
        settings: TabSettings,
        tab: Tab,
        request: gr.Request,
        *fields: Any,
    ) -> Updates:
        """A question asked in other words stands beside the old one."""
        seen, at = Seen.of(seen), event.index
        row = tab.shown[at] if isinstance(at, int) and at < len(tab.shown) else None
        message = next((each for each in tab.conversation.branch if each.id == seen.message), None)
        refused = refuses(tab, seen, at_end=False)
        if refused or row is None or message is None or not _is_of(row, message):
            if not refused:
                has_moved()
            yield self.view.whole(tab)  # the browser has changed it already
            return
        content = _edited(message, row.part, wild(str(event.value)))
        body = {**_asked(model, settings, tab, fields), "message": {"content": content, "sibling_of": message.id}}
        async for update in self._beside(tab, message.parent, body, request):
            yield update

    @to_the_end
    async def again(
        self, seen: Any, model: str | None, settings: TabSettings, tab: Tab, request: gr.Request, *fields: Any
    ) -> Updates:
        """Another answer stands beside the last one."""
        if refuses(tab, Seen.of(seen)) or (last := tab.conversation.last) is None:
            return
        parent = last.parent if last.role == "assistant" else last.id
        if parent is None:
            return
        body = {**_asked(model, settings, tab, fields), "parent": parent}
        async for update in self._beside(tab, parent, body, request):
            yield update

    async def go_on(
        self, seen: Any, model: str | None, settings: TabSettings, tab: Tab, request: gr.Request, *fields: Any
    ) -> Updates:
        if refuses(tab, Seen.of(seen)) or (last := tab.conversation.last) is None or last.role != "assistant":
            return
        body = {**_asked(model, settings, tab, fields), "continue": last.id}
        async for update in self._beside(tab, last.parent, body, request):
            yield update

    async def _beside(self, tab: Tab, parent: str | None, body: Json, request: gr.Request) -> Updates:
        """What was there makes place while the other one comes."""
        with tab.turned() as reading:
            yield self.view.whole(tab, tab.conversation.shows(parent))
            async for update in Answering(self.view, tab, self._api(request)).ask(reading, body):
                yield update

    @to_the_end
    async def results(
        self,
        results: list[ToolResult],
        model: str | None,
        settings: TabSettings,
        tab: Tab,
        request: gr.Request,
        *fields: Any,
    ) -> Updates:
        """The tools have answered: the model goes on with that."""
        chat, api, asked_for = tab.conversation, self._api(request), _asked(model, settings, tab, fields)
        if not results or not chat.id:
            return
        if tab.is_busy or not _are_awaited(results, chat):
            warn(_NOT_SENT)
            yield self._awaited_again(tab)
            return
        with tab.turned() as reading:
            try:
                for each in results:
                    message = {"role": "tool", "content": each.content, "tool_call_id": each.call, "name": each.name}
                    added = await api.post(path(chat.id, "messages"), {**message, "parent": chat.head})
                    chat = chat.with_added(Said.of(added), run=None)
            except ApiError as error:
                tell(error)
            if reading.left:
                return
            tab.show(chat)
            yield self.view.whole(tab)
            if chat.pending:
                yield self._awaited_again(tab)
                return
            body = {**asked_for, "parent": chat.head}
            async for update in Answering(self.view, tab, api).ask(reading, body):
                yield update

    def _awaited_again(self, tab: Tab) -> Changes:
        """Marked: of a state that stays as it is nobody would hear."""
        chat, at = tab.conversation, now()
        return {self.view.shared.pending: [] if chat.run else [{**call, "again": at} for call in chat.pending]}

    async def switch(self, to: str, seen: Any, tab: Tab, request: gr.Request) -> Updates:
        """Show the newest branch below a message."""
        if refuses(tab, Seen.of(seen), at_end=False) or not (before := tab.conversation).has(to):
            return
        chat = before.shows(before.leaf(to))
        tab.show(chat)
        yield {**self.view.whole(tab), **self.view.idle(tab)}
        try:
            await self._api(request).patch(path(chat.id), {"head": chat.head})
        except ApiError as error:
            tell(error)
            if tab.conversation is chat:
                tab.show(before)
                yield self.view.whole(tab)
            return
        yield self.view.changed()  # others look at the branch that the server has

    async def faded(self, left_out: LeftOut | None, tab: Tab) -> Any:
        """What the model reads of the chat has changed."""
        chat = tab.conversation
        if left_out is None or left_out.chat != chat.id:
            return gr.skip()
        tab.conversation = replace(chat, settings={**chat.settings, "left_out": list(left_out.ids)})
        return self.view.known(tab)[self.view.facts]

    async def heard(self, settings: TabSettings, tab: Tab) -> None:
        """Whether the page's fields have the settings of the chat that was opened, or another one's still."""
        if tab.conversation.id in ("", settings.chat):
            tab.applying = False

    def _api(self, request: gr.Request) -> Api:
        return self.view.shared.users.api(request)


async def _kept(settings: TabSettings, api: Api, chat: str, begun_with: Json) -> None:
    """Of a chat that has just begun, what the user has changed since: now the page knows that it is open."""
    try:
        await settings.begun(api, chat, begun_with)
    except ApiError as error:
        tell(error)


def _asked(model: str | None, settings: TabSettings, tab: Tab, fields: Sequence[Any]) -> Json:
    """How the answer is asked for, whatever the chat was begun with: what was taken out of the fields does not hold.

    `fields`: what stands in those of the settings, or nothing.
    """
    if tab.applying:
        return {"model": model or "", "settings": {}}
    if fields:
        settings.take(*fields)
    return {"model": model or "", "settings": {**_ALL, **settings.now}}


def _are_awaited(results: list[ToolResult], chat: Conversation) -> bool:
    awaited = {str(call.get("id")) for call in chat.pending}
    of = {(each.chat, each.message) for each in results}
    places = {(str(call["chat"]), str(call["message"])) for call in chat.pending}
    return of == places and {each.call for each in results} <= awaited


def _is_of(row: Row, message: Said) -> bool:
    """Whether it is what can be edited of that message."""
    return row.message == message.id and row.kind == "text" and message.role == "user"


def _edited(message: Said, part: int | None, text: str) -> Any:
    if part is None or isinstance(message.content, str):
        return text
    return [{**each, "text": text} if at == part else dict(each) for at, each in enumerate(message.content)]
