"""The HTTP application with chats in a file, over a model that plays events and waits where a test wants it to."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from ggufrun.api.app import create_app
from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.images.images import Images
from ggufrun.api.manage.metrics import Metrics
from ggufrun.chat.types import ChatEvent, ChoiceFinished, Completed, PromptProcessed, Started, TextDelta
from ggufrun.engine.types import Stats
from ggufrun.pool.served import Models, OneModel
from ggufrun.records.chats import ChatStore
from ggufrun.records.keys import KeyStore
from ggufrun.records.ledger import Ledger
from tests.api.scripted import PlayedModel, client_of, listening

CHATS = "/ggufrun/v1/chats"
Step = ChatEvent | Exception | asyncio.Event | None
BEGIN: tuple[ChatEvent, ...] = (Started(7, 100), PromptProcessed(7, 7, 3))
DONE = Completed(7, 2, (Stats(7, 2, cached_tokens=3, generation_s=0.1),), 0.05, 0.2, 9, 100)
END: tuple[ChatEvent, ...] = (ChoiceFinished("stop"), DONE)


def says(*texts: str) -> tuple[ChatEvent, ...]:
    return (*BEGIN, *(TextDelta(text) for text in texts), *END)


class SteppedModel(PlayedModel):
    """Answers the i-th request with the i-th script, further ones with the last; an `asyncio.Event` is waited for."""

    def __init__(self, *scripts: Sequence[Step]) -> None:
        super().__init__(())
        self.scripts = scripts

    async def _play(self) -> AsyncGenerator[ChatEvent, None]:
        script = self.scripts[min(len(self.requests), len(self.scripts)) - 1]
        try:
            for step in script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event) or step is None:
                    await (step or asyncio.Event()).wait()
                else:
                    yield step
        finally:
            self.ended += 1


@dataclass
class Chatting:
    client: httpx.AsyncClient
    model: SteppedModel
    gateway: Gateway
    store: ChatStore

    async def chat(self, **body: Any) -> str:
        return str((await self.client.post(CHATS, json=body)).raise_for_status().json()["id"])

    async def run(self, chat: str, text: str = "", **body: Any) -> dict[str, Any]:
        """Begun; with `text`, a new message is answered."""
        asked = {**({"message": {"content": text}} if text else {}), **body}
        reply = await self.client.post(f"{CHATS}/{chat}/runs", json=asked)
        assert reply.status_code == 201, reply.text
        return dict(reply.json())

    async def read(self, chat: str) -> dict[str, Any]:
        return dict((await self.client.get(f"{CHATS}/{chat}")).raise_for_status().json())

    async def answered(self, chat: str, text: str = "", **body: Any) -> dict[str, Any]:
        """The answer's message, at the run's end."""
        run = await self.run(chat, text, **body)
        return dict((await self.events(chat, run["id"]))[-1]["message"])

    async def stop(self, chat: str, run: dict[str, Any]) -> dict[str, Any]:
        """The message, as far as it came."""
        reply = (await self.client.delete(f"{CHATS}/{chat}/runs/{run['id']}")).raise_for_status().json()
        assert (reply["id"], reply["state"]) == (run["id"], reply["message"]["meta"]["state"])
        return dict(reply["message"])

    async def events(self, chat: str, run: str, after: int = 0) -> list[dict[str, Any]]:
        """To the end; each with its number as `id`."""
        reply = await self.client.get(f"{CHATS}/{chat}/runs/{run}/events", params={"after": after})
        assert reply.status_code == 200, reply.text
        return [event_of(block) for block in reply.text.strip().split("\n\n") if not block.startswith(":")]


def event_of(block: str) -> dict[str, Any]:
    fields = dict(line.split(": ", 1) for line in block.split("\n"))
    data: dict[str, Any] = json.loads(fields["data"])
    assert data["type"] == fields["event"]
    return {"id": int(fields["id"]), **data}


def shown(events: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """What a reader of the events has: text and thinking, `end` left out."""
    text = thinking = ""
    for event in events:
        if event["type"] == "start":
            text, thinking = event["message"]["content"], event["message"]["thinking"]
        elif event["type"] == "text":
            text += event["text"]
        elif event["type"] == "thinking":
            thinking += event["text"]
    return text, thinking


@asynccontextmanager
async def chatting(
    folder: Path,
    *scripts: Sequence[Step],
    keys: KeyStore | None = None,
    ledger: Ledger | None = None,
    models: Models | None = None,
    images: Images | None = None,
    socket: bool = False,
    **settings: Any,
) -> AsyncIterator[Chatting]:
    """With `socket`, on one of the loopback: replies come as they are written there."""
    model = SteppedModel(*(scripts or (says("fine"),)))
    store = ChatStore(folder / "chats.db")
    served = models or OneModel(model)
    gateway = Gateway(
        served, ServerSettings(**settings), Metrics(), keys, ledger, chats=store, images=images or Images()
    )
    try:
        async with listening(model, gateway) if socket else client_of(create_app(gateway)) as client:
            yield Chatting(client, model, gateway, store)
            await gateway.runs.close()
    finally:
        await gateway.runs.close()
        store.close()
