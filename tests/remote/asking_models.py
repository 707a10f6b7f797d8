"""Short ways to ask a chat model in these tests"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ggufrun.chat.types import AnyRequest, ChatEvent, ChatModel, ChatRequest, Message, Meter, TextDelta
from ggufrun.remote.opening import open_remote
from ggufrun.remote.settings import RemoteSettings
from tests.remote.raw_server import Raw

HELLO = ChatRequest((Message(role="user", content="Hello"),))


@asynccontextmanager
async def opened(raw: Raw, **settings: Any) -> AsyncIterator[ChatModel]:
    async with open_remote(RemoteSettings("fast", raw.url, **settings)) as model:
        yield model


async def events_of(model: ChatModel, request: AnyRequest = HELLO, meter: Meter | None = None) -> list[ChatEvent]:
    return [event async for event in model.complete(request, meter)]


def text_of(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries that wait for almost nothing."""
    monkeypatch.setattr("ggufrun.remote.backoff.FIRST_S", 0.001)
