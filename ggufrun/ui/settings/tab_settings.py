"""The settings of one browser tab, and how the chat that is open gets them, whatever comes in which order."""

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote

from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError
from ggufrun.ui.settings.sampling import Texts, sampling_of, texts_of
from ggufrun.ui.settings.values import Settings, sampling_in, system_in, with_sampling, with_system

T = TypeVar("T")
_PAST: Final = 20


class TabSettings:
    """For the event loop's thread. One object for all events of a tab, and each changes only what it is about.

    A value would be read when an event begins and written when it ends: what another one wrote meanwhile would be lost.
    """

    def __init__(self, now: Settings | None = None) -> None:
        self.now = now or {}  # never changed in place
        self._chat = ""  # whose they are; "": of one that has not begun
        self._kept: tuple[str, Settings] = ("", {})  # what which chat has on the server
        self._past_systems: deque[str] = deque(maxlen=_PAST)  # what fields had that have something else now
        self._past_texts: deque[Texts] = deque(maxlen=_PAST)
        self._patching = asyncio.Lock()

    @property
    def chat(self) -> str:
        """Whose they are; "": of one that has not begun."""
        return self._chat

    def change(self, now: Settings, open_chat: str) -> None:
        """As the user wants it. Of the chat before, where those of the chat that is open are not here yet."""
        if not open_chat:
            self.begin()
        self._set(now)

    def replace(self, now: Settings, *, chat: str = "") -> None:
        """All of them: of a `chat` that was opened, or as the user wants it."""
        self._set(now)
        if chat:
            self._chat, self._kept = chat, (chat, now)

    def take(self, system: str | None, texts: Mapping[str, Any] | None) -> None:
        """What stands in the fields when something is asked: the events that tell of it may still be on their way.

        Or they have told of newer ones: what was there before is not taken back.
        """
        if (system or "") not in (system_in(self.now), *self._past_systems):
            self._set(with_system(self.now, system or ""))
        sampling = sampling_in(self.now)
        if texts and texts not in (texts_of(sampling), *self._past_texts):
            self._set(with_sampling(self.now, sampling_of(texts, sampling)[0]))

    def begin(self) -> None:
        """They are of a chat that is not on the server yet, and takes them along when it begins."""
        self._chat = ""

    async def begun(self, api: Api, chat: str, begun_with: Settings) -> None:
        """The chat is there, and open. What was changed while it was made is kept now. Raises ApiError."""
        if self._chat != chat:
            self._chat, self._kept = chat, (chat, begun_with)
            await self.keep(api)

    async def keep(self, api: Api) -> None:
        """Returns when the server has them. Raises ApiError; the next one tries it again."""
        chat, wanted = self._chat, self.now
        if not chat:
            return
        async with self._patching:  # the last one that arrives there is the newest
            if chat == self._chat:
                wanted = self.now
            if self._kept == (chat, wanted):
                return
            try:
                await api.patch(f"/ggufrun/v1/chats/{quote(chat)}", {"settings": wanted})
            except ApiError as error:
                if error.status != 404:  # one that has just been deleted
                    raise
            self._kept = (chat, wanted)

    def _set(self, now: Settings) -> None:
        _passed(self._past_systems, system_in(self.now), system_in(now))
        _passed(self._past_texts, texts_of(sampling_in(self.now)), texts_of(sampling_in(now)))
        self.now = now


def _passed(past: deque[T], before: T, after: T) -> None:
    if before != after:
        past.append(before)
        while after in past:
            past.remove(after)
