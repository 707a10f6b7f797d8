"""One answer on the page: asked for, read along, and shown as the server has kept it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

from ggufrun.ui.chat.conversation import Conversation, Said
from ggufrun.ui.chat.live import Live
from ggufrun.ui.chat.pace import Reading
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.chat.trouble import tell
from ggufrun.ui.chat.view import Changes, View
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.shared import now

CHATS: Final = "/ggufrun/v1/chats"
_LOADING_S: Final = 3600.0  # a model may have to be loaded first; the server says when that takes too long
Updates = AsyncGenerator[Changes, None]


class Answering:
    """For one tab, and one user's `api`."""

    def __init__(self, view: View, tab: Tab, api: Api) -> None:
        self._view, self._tab, self._api = view, tab, api

    async def ask(self, body: dict[str, Any], *, is_new: bool = False, sent: bool = False) -> Updates:
        """`body`: of the run. `is_new`: the chat was made for it. `sent`: it has what stands in the box."""
        tab, chat = self._tab, self._tab.conversation
        reading = tab.turn()
        yield {**self._view.waits(), **({self._view.shared.chat: chat.id} if is_new else {})}
        try:
            run = await self._api.post(f"{CHATS}/{chat.id}/runs", body, timeout_s=_LOADING_S)
        except ApiError as error:
            if is_new:
                await self._forget(chat)
            if reading.left:
                return
            tab.over()
            tab.show(Conversation() if is_new else chat)
            is_gone = {self._view.shared.chat: ""} if is_new else {}
            yield {**self._view.whole(tab), **self._view.idle(tab), **is_gone, **self._too_long(error)}
            if error.type != "cancelled":  # the user has stopped it
                tell(error)
            return
        if reading.left:
            return
        added = [*map(Said.of, run["added"]), Said.of(run["message"])]
        tab.show(chat.with_added(*added, run=run["id"]))
        yield {**self._view.whole(tab), **self._view.changed(), **(self._view.taken() if sent else {})}
        async with aclosing(self.read(reading)) as updates:
            async for update in updates:
                yield update

    async def read(self, reading: Reading) -> Updates:
        """What is under way in the chat that the tab shows, to its end, however it ends."""
        chat, lost = self._tab.conversation, None
        live = Live(chat.last or Said("", "assistant"))
        events = self._api.events(f"{CHATS}/{chat.id}/runs/{chat.run}/events")
        async with aclosing(reading.updates(events, live.add)) as updates:
            try:
                async for _ in updates:
                    if not live.ended:
                        yield self._view.comes(live)
            except ApiError as error:
                lost = error
        if reading.left:
            return
        found = await self._found(chat, live, lost)
        if reading.left:
            return
        self._tab.over()
        self._tab.show(found)
        yield {**self._view.whole(self._tab), **self._view.idle(self._tab), **self._view.changed()}

    async def _found(self, chat: Conversation, live: Live, lost: ApiError | None) -> Conversation:
        """As the server has it; while it does not answer, as far as it was read."""
        try:
            return Conversation.of(await self._api.get(f"{CHATS}/{chat.id}"))
        except ApiError as error:
            answer = live.so_far()
            failed = {**answer.meta, "state": "failed", "error": {"message": str(lost or error)}}
            return chat.with_added(replace(answer, meta=answer.meta if live.ended else failed), run=None)

    async def _forget(self, chat: Conversation) -> None:
        try:
            await self._api.delete(f"{CHATS}/{chat.id}")
        except ApiError:
            return  # it stays, empty; what is to be said is why there is no answer

    def _too_long(self, error: ApiError) -> Changes:
        return {self._view.shared.over: now()} if error.code == "context_length_exceeded" else {}
