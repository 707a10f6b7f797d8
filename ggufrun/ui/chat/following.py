"""An answer that comes: read along by an event of its own, and shown as it ended."""

from contextlib import aclosing

import gradio as gr

from ggufrun.ui.chat.answering import Answering
from ggufrun.ui.chat.handling import Updates
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.chat.view import Changes, View
from ggufrun.ui.client import Api


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

    def _api(self, request: gr.Request) -> Api:
        return self.view.shared.users.api(request)
