"""An answer is stopped: the one that Stop was shown beside, whatever the tab has turned to since."""

import asyncio
from typing import Any, Final

import gradio as gr

from ggufrun.ui.chat.handling import path
from ggufrun.ui.chat.seen import Seen
from ggufrun.ui.chat.tab import Tab
from ggufrun.ui.chat.trouble import tell
from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.users import Users

_STOPS: Final = 10  # times that a run which is to be stopped is looked for
_STOP_S: Final = 0.2  # between them


class Stopping:
    """Handlers of events."""

    def __init__(self, users: Users) -> None:
        self._users = users

    async def stop(self, told: Any, tab: Tab, request: gr.Request) -> None:
        """`told`: a `Seen`. One that has not begun to answer is stopped when it has."""
        seen, api = Seen.of(told), self._users.api(request)
        try:
            if seen.is_of(tab) and not tab.is_opening:
                await self._here(seen, tab, api)
            else:
                await self._elsewhere(seen, tab, api)
        except ApiError as error:
            tell(error)

    async def _here(self, seen: Seen, tab: Tab, api: Api) -> None:
        chat, reading = tab.conversation, tab.reading
        if reading is not None:
            reading.stops = True
        if not chat.id:
            return
        for _ in range(_STOPS):
            run = seen.run or chat.run or (await api.get(path(chat.id)))["run"]
            if run is not None:
                await api.delete(path(chat.id, "runs", run))
            if run is not None or tab.reading is not reading or reading is None:
                return
            await asyncio.sleep(_STOP_S)

    async def _elsewhere(self, seen: Seen, tab: Tab, api: Api) -> None:
        """In a chat that is not open any more."""
        if seen.run:
            await api.delete(path(seen.chat, "runs", seen.run))
        elif (asking := tab.asking.get(seen.opens)) is not None:
            asking.stops = True  # whoever asks looks at it once there is a run
        elif seen.chat and (run := (await api.get(path(seen.chat)))["run"]) is not None:
            await api.delete(path(seen.chat, "runs", run))
