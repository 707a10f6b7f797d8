"""Which chat the tab shows: opened, found by the page's address, and looked at again."""

from collections.abc import Mapping
from typing import Any, Final

import gradio as gr

from ggufrun.ui.chat.conversation import Conversation, Json, Said
from ggufrun.ui.chat.handling import Updates, path, to_the_end
from ggufrun.ui.chat.live import Live
from ggufrun.ui.chat.pace import Reading
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.chat.trouble import tell
from ggufrun.ui.chat.view import View
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError, warn
from ggufrun.ui.settings.tab_settings import TabSettings

_GONE: Final = "This chat is not here: it was deleted, or it is another user's."
_DELETED: Final = "The chat that was open here has been deleted, in another tab or by another program."


class Opening:
    """Handlers of events."""

    def __init__(self, view: View) -> None:
        self.view = view

    @to_the_end
    async def loaded(self, tab: Tab, request: gr.Request) -> Updates:
        """The page's address names the chat that was open. Whoever has chosen one since wants that."""
        if (chat := str(dict(request.query_params).get("chat") or "")) and not tab.click:
            async for update in self.opened(chat, tab, request):
                yield update

    @to_the_end
    async def asked(self, event: gr.EventData, tab: Tab, request: gr.Request) -> Updates:
        """One was chosen in the list of chats. Of quick clicks the last holds, in whatever order they come."""
        if event.turn > tab.click:
            tab.click = event.turn
            async for update in self.opened(str(event.id), tab, request):
                yield update

    @to_the_end
    async def gone(self, event: gr.EventData, tab: Tab, request: gr.Request) -> Updates:
        """The list has noticed it; what has been opened since then stays."""
        if event.id and tab.wanted == event.id:
            warn(_DELETED, "Chat deleted")
            async for update in self.opened("", tab, request):
                yield update

    @to_the_end
    async def opened(self, chat: str, tab: Tab, request: gr.Request) -> Updates:
        """The last one that was asked for holds."""
        if chat == tab.wanted:
            return
        tab.wanted = chat
        with tab.turned() as reading:
            try:
                found = await self._found(chat, tab, request) if chat else Conversation()
            except ApiError as error:
                if reading.left:
                    return
                tab.wanted, tab.opens = "", tab.opens + 1
                tab.show(Conversation())
                yield {**self.view.opened(tab), self.view.shared.chat: ""}
                warn(_GONE) if error.status == 404 else tell(error)
                return
            except BaseException:
                if not reading.left:
                    tab.wanted = tab.conversation.id  # nobody waits for it any more, and it can be asked for again
                raise
            if reading.left:
                return
            tab.opens += 1
            _attach(tab, reading, found)
            yield {**self.view.opened(tab), self.view.shared.chat: chat, **self.view.reads_along(tab)}

    async def looked(self, settings: TabSettings, tab: Tab, request: gr.Request) -> Updates:
        """The user has come back to this tab: another one may have gone on with the chat."""
        chat = tab.conversation
        if not chat.id or tab.is_busy:
            return
        try:
            # To change nothing tells what it is at, without all that was said.
            brief = await self._api(request).patch(path(chat.id), {})
            if (brief["updated"], brief["head"], brief["run"]) == (chat.updated, chat.head, chat.run):
                return
            found = await self._found(chat.id, tab, request)
        except ApiError:
            return  # whatever is wrong is said when something is asked for
        if tab.conversation is not chat or tab.is_busy:
            return
        others = _given(found.settings)
        is_news = others != _given(chat.settings) and others != _given(settings.now)
        with tab.turned() as reading:
            _attach(tab, reading, found)
            applied = self.view.applied(tab) if is_news else {}
            yield {**self.view.whole(tab), **self.view.idle(tab), **applied, **self.view.reads_along(tab)}

    async def _found(self, chat: str, tab: Tab, request: gr.Request) -> Conversation:
        found = _at_run(Conversation.of(await self._api(request).get(path(chat))))
        await tab.prepare(found)
        return found

    def _api(self, request: gr.Request) -> Api:
        return self.view.shared.users.api(request)


def _attach(tab: Tab, reading: Reading, found: Conversation) -> None:
    """Show it, and have what is under way read along."""
    if found.run is not None:
        reading.live = Live(found.last or Said("", "assistant"))
    tab.show(found)


def _at_run(chat: Conversation) -> Conversation:
    """Shows the branch that is being answered."""
    answer = next((each for each in chat.messages if chat.run and each.meta.get("run") == chat.run), None)
    return chat if answer is None else chat.shows(answer.id)


def _given(settings: Mapping[str, Any] | None) -> Json:
    """What of them says something; what is left out is no matter of the fields."""
    given = {name: value for name, value in (settings or {}).items() if name != "left_out"}
    return {name: value for name, value in given.items() if value is not None and value not in ("", {}, [])}
