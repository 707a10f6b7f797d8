"""A worker that is killed while it answers, seen over HTTP: all but the model's arithmetic is real."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from ggufrun.api.app import create_app, gateway_for
from ggufrun.chat.compile import Compiler
from ggufrun.chat.local import LocalChatModel
from ggufrun.engine import service as service_module
from ggufrun.engine.service import Service
from tests.chat.local_model import INFO, FakeEncoder
from tests.engine.services import settings, until
from tests.engine.worker_models import HANG
from tests.fakes import FakeVocabulary

pytestmark = pytest.mark.process


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Service]:
    own = await Service.start(settings())
    yield own
    await own.aclose()


def client_of(service: Service) -> httpx.AsyncClient:
    vocabulary = FakeVocabulary()
    compiler = Compiler(vocabulary, FakeEncoder(), lambda request, prompt: None, service.context)
    app = create_app(gateway_for(LocalChatModel(INFO, vocabulary, compiler, service)))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", timeout=60)


async def reply_when(service: Service, client: httpx.AsyncClient, n: int, end: int | None) -> httpx.Response:
    """What a client reads whose answer is being computed when the worker is killed, or (None) the model closed."""
    body = {"messages": [{"role": "user", "content": chr(HANG)}], "n": n}
    asked = asyncio.create_task(client.post("/v1/chat/completions", json=body))
    await until(lambda: service.live == n)
    if end is None:
        await service.aclose()
    else:
        assert service.worker_pid is not None
        os.kill(service.worker_pid, end)
    return await asyncio.wait_for(asked, 60)


@pytest.mark.parametrize("n", [1, 3])
async def test_an_answer_cut_by_a_crash_is_503_and_says_when_to_try_again(service: Service, n: int) -> None:
    async with client_of(service) as client:
        reply = await reply_when(service, client, n, signal.SIGKILL)
    assert (reply.status_code, reply.headers.get("retry-after")) == (503, "1"), reply.text
    assert "signal 9" in reply.json()["error"]["message"] and "being restarted" in reply.json()["error"]["message"]


async def test_a_worker_that_stays_down_says_for_how_long(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "RESTART_DELAYS_S", ())
    async with client_of(service) as client:
        reply = await reply_when(service, client, 1, signal.SIGKILL)
    assert (reply.status_code, reply.headers.get("retry-after")) == (503, "60"), reply.text


async def test_an_answer_cut_by_the_end_of_the_model_is_503(service: Service) -> None:
    async with client_of(service) as client:
        reply = await reply_when(service, client, 1, None)
    assert (reply.status_code, reply.headers.get("retry-after")) == (503, None), reply.text
    assert "was closed" in reply.json()["error"]["message"]
