"""One answer on the page: asked for, read along, and shown as the server has kept it."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

from ggufrun.ui.chat.conversation import Conversation, Said
from ggufrun.ui.chat.handling import Updates, path
from ggufrun.ui.chat.live import Live
from ggufrun.ui.chat.pace import Reading
from ggufrun.ui.chat.tab import Asked, Tab
from ggufrun.ui.chat.trouble import tell
from ggufrun.ui.chat.view import Changes, View
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.shared import now

_LOADING_S: Final = 3600.0  # a model may have to be loaded first; the server says when that takes too long
TRIES: Final = 5  # to read on, where the connection is lost
_PAUSE_S: Final = 0.4  # before the first of them; then twice that, and so on


class Answering:
    """For one tab, and one user's `api`."""

    def __init__(self, view: View, tab: Tab, api: Api) -> None:
        self._view, self._tab, self._api = view, tab, api

    async def ask(
        self, reading: Reading, body: dict[str, Any], *, is_new: bool = False, sent: Asked | None = None
    ) -> Updates:
        """`body`: of the run. `is_new`: the chat was made for it. `sent`: what of it stands in the box.

        In the end the answer has begun, and is to be read.
        """
        tab, chat = self._tab, self._tab.conversation
        yield {**self._view.waits(), **({self._view.shared.chat: chat.id} if is_new else {})}
        opens = tab.opens
        tab.asking[opens] = reading
        try:
            run = await self._api.post(path(chat.id, "runs"), body, timeout_s=_LOADING_S)
        except ApiError as error:
            if is_new:
                await self.forget(chat)
            if not reading.left:
                yield self._refused(chat, error, is_new=is_new)
                if error.type != "cancelled":  # the user has stopped it
                    tell(error)
            return
        finally:
            if tab.asking.get(opens) is reading:
                del tab.asking[opens]
        tab.begun.add(run["id"])
        if reading.stops:
            await self.stop(chat.id, run["id"])
        if sent is not None:
            tab.was_taken(sent, chat.id, *([""] if is_new else []))
        if not reading.left:
            added = [*map(Said.of, run["added"]), Said.of(run["message"])]
            found = chat.with_added(*added, run=run["id"])
            await tab.prepare(found)
        if reading.left:  # what stood in the box is with the server all the same
            if sent is not None:
                yield {**self._view.known(tab), **self._view.changed()}
            return
        reading.live = Live(found.last or Said("", "assistant"))
        tab.show(found)
        yield {**self._view.whole(tab), **self._view.changed(), **self._view.reads_along(tab)}

    async def read(self, reading: Reading, live: Live) -> Updates:
        """What is under way in the chat that the tab shows. A connection that is lost is made again."""
        chat, failed = self._tab.conversation, 0
        while not reading.left and not live.ended and chat.run is not None:
            came = 0

            def take(event: Any) -> None:
                nonlocal came
                came += 1
                live.add(event)

            events = self._api.events(path(chat.id, "runs", chat.run, "events"))
            try:
                async with aclosing(reading.updates(events, take)) as updates:
                    async for _ in updates:
                        if not live.ended:
                            yield self._view.comes(live)
                return
            except ApiError as error:
                failed = 1 if came else failed + 1
                if error.status or failed > TRIES:
                    reading.lost = error
                    return
                await asyncio.sleep(_PAUSE_S * 2 ** (failed - 1))

    async def end(self, reading: Reading) -> Changes:
        """The answer was read: the chat as the server has it now. {}: the tab has turned to something else."""
        chat, live = self._tab.conversation, reading.live or Live(Said("", "assistant"))
        found = await self._found(chat, live, reading)
        if reading.left:
            return {}
        self._tab.over()
        self._tab.show(found)
        changes = {**self._view.whole(self._tab), **self._view.idle(self._tab), **self._view.changed()}
        pending, is_ours = self._view.shared.pending, chat.run in self._tab.begun
        news = live.message.id if is_ours else None  # whose calls are; another tab's may run there by themselves
        return {**changes, pending: [{**call, "fresh": call["message"] == news} for call in changes[pending]]}

    async def stop(self, chat: str, run: str) -> None:
        try:
            await self._api.delete(path(chat, "runs", run))
        except ApiError as error:
            tell(error)

    async def _found(self, chat: Conversation, live: Live, reading: Reading) -> Conversation:
        """As the server has it; while it does not answer, as far as it was read."""
        try:
            found = Conversation.of(await self._api.get(path(chat.id)))
        except ApiError as error:
            answer = live.so_far()
            failed = {**answer.meta, "state": "failed", "error": {"message": str(reading.lost or error)}}
            return chat.with_added(replace(answer, meta=answer.meta if live.ended else failed), run=None)
        await self._tab.prepare(found)
        return replace(found, run=None) if live.ended and found.run == chat.run else found

    def _refused(self, chat: Conversation, error: ApiError, *, is_new: bool) -> Changes:
        self._tab.over()
        is_gone = {}
        if is_new:
            self._tab.wanted, is_gone = "", {self._view.shared.chat: ""}
        self._tab.show(Conversation() if is_new else chat)
        too_long = {self._view.shared.over: now()} if error.code == "context_length_exceeded" else {}
        return {**self._view.whole(self._tab), **self._view.idle(self._tab), **is_gone, **too_long}

    async def forget(self, chat: Conversation) -> None:
        try:
            await self._api.delete(path(chat.id))
        except ApiError:
            return  # it stays, empty; what is to be said is why there is no answer
