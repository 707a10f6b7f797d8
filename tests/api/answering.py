"""The HTTP application over a local chat model whose engine plays a script: real requests down to their tokens."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from ggufrun.api.app import create_app, gateway_for
from tests.api.scripted import client_of
from tests.chat.local_model import model
from tests.fakes import FakeService, FakeVocabulary


@dataclass
class Answering:
    service: FakeService
    client: httpx.AsyncClient

    async def post(self, path: str, **body: Any) -> httpx.Response:
        return await self.client.post(path, json=body)

    async def chunks(self, path: str, **body: Any) -> list[dict[str, Any]]:
        """The chunks of a streamed answer; the last thing on the wire must be [DONE]."""
        response = await self.client.post(path, json={**body, "stream": True})
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.text.split("\n\n") if line and not line.startswith(":")]
        assert lines[-1] == "data: [DONE]"
        return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def answering(*scripts: Sequence[Any], vocabulary: FakeVocabulary | None = None, **encoder: Any) -> Answering:
    """The i-th generation plays the i-th script, the others the last one; `encoder`: see `FakeEncoder`."""
    service = FakeService(*scripts)
    return Answering(service, client_of(create_app(gateway_for(model(service, vocabulary, **encoder)))))
