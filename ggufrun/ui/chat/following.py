"""An answer that comes: read along by an event of its own, shown as it ended, and stopped."""

import asyncio
from contextlib import aclosing
from typing import Final

import gradio as gr

from ggufrun.ui.chat.answering import Answering
from ggufrun.ui.chat.handling import Updates, path
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.chat.trouble import tell
from ggufrun.ui.chat.view import Changes, View
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError

_STOPS: Final = 10  # times that a run which is to be stopped is looked for
_STOP_S: Final = 0.2  # between them


class Following:
    """Handlers of events."""

    def __init__(self, view: View) -> None:
        self.view = view

    async def follow(self, tab: Tab, request: gr.Request) -> Updates:
        """Read the answer along that the tab has. Only what changes while it comes is an output."""
        reading = tab.reading
        if reading is None or reading.live is None or reading.begun:
            return
        reading.begun = True
        try:
            async with aclosing(Answering(self.view, tab, self._api(request)).read(reading, reading.live)) as updates:
                async for update in updates:
                    yield update
        finally:
            reading.done = True

    async def ended(self, tab: Tab, request: gr.Request) -> Changes:
        """Behind `follow`, and no stream: of those an update may be lost, and this one has the end of all.

        Where the tab has turned to something else, what `follow` said last may have come after that was shown.
        """
        reading = tab.reading
        if reading is None:
            return self.view.idle(tab)
        if not reading.done:
            return self.view.waits() if reading.live is None else self.view.comes(reading.live)
        try:
            changes = await Answering(self.view, tab, self._api(request)).end(reading)
        finally:
            if not reading.left:
                tab.over()
        return changes or {self.view.ask: gr.skip()}

    async def stop(self, tab: Tab, request: gr.Request) -> None:
        """One that has not begun to answer is looked for, and stopped when it has."""
        chat, reading = tab.conversation, tab.reading
        if reading is not None:
            reading.stops = True
        if not chat.id:
            return
        try:
            for _ in range(_STOPS):
                run = chat.run or (await self._api(request).get(path(chat.id)))["run"]
                if run is not None:
                    await self._api(request).delete(path(chat.id, "runs", run))
                if run is not None or tab.reading is not reading or reading is None:
                    return
                await asyncio.sleep(_STOP_S)
        except ApiError as error:
            tell(error)

    def _api(self, request: gr.Request) -> Api:
        return self.view.shared.users.api(request)
