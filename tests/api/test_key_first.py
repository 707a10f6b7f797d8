"""The key comes before the body, the body has to come, and management wants a key of its own."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from ggufrun.api.app import create_app, gateway_for
from ggufrun.api.front import body_limit
from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.manage.control import Control
from ggufrun.records.keys import Key, KeyStore
from tests.api.scripted import PlayedModel, client_of, listening
from tests.api.test_authorization import bearer
from tests.api.test_guard import ANSWER, CHAT, HELLO

pytestmark = pytest.mark.process

MANAGED = "/ggufrun/v1/models"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with closing(KeyStore(tmp_path / "ggufrun.db")) as keys:
        yield replace(gateway_for(PlayedModel(ANSWER)), keys=keys)


def keys_of(gateway: Gateway) -> KeyStore:
    assert gateway.keys is not None
    return gateway.keys


async def exchange(client: httpx.AsyncClient, path: str, header: str = "", sent: bytes = b"{") -> bytes:
    """The reply to a request whose body stays unfinished, until the server says no more for a moment."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n{header}\r\n"
    writer.write(head.encode() + sent)
    try:
        got = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        return got + await asyncio.wait_for(reader.read(4096), 60)
    finally:
        writer.close()


async def test_without_a_good_key_the_body_is_not_waited_for(gateway: Gateway) -> None:
    keys_of(gateway).add("a")
    async with listening(PlayedModel(ANSWER), gateway) as client:
        for header in ("", "Authorization: Bearer gr-wrong\r\n"):
            reply = await exchange(client, CHAT, header)
            assert reply.startswith(b"HTTP/1.1 401") and b'"code":"invalid_api_key"' in reply
        theirs = await exchange(client, "/v1/messages")
        assert theirs.startswith(b"HTTP/1.1 401") and b'"error":{"type":"authentication_error"' in theirs
        assert (await client.post("/ggufrun/v1/keys", content=b"{")).status_code == 401
    scraped = gateway.metrics.exposition(gateway.models.served())[0].decode()
    assert f'ggufrun_requests_total{{endpoint="{CHAT}",model="",status="401"}} 2.0' in scraped


async def test_what_is_open_stays_open(gateway: Gateway) -> None:
    keys_of(gateway).add("a")
    async with client_of(create_app(gateway)) as client:
        for path in ("/health", "/docs", "/openapi.json", "/swagger/swagger-ui.css"):
            assert (await client.get(path)).status_code == 200, path
        for path in ("/v1/models", "/metrics", MANAGED):
            assert (await client.get(path)).status_code == 401, path
        assert (await client.get("/nowhere")).status_code == 404


async def test_the_key_is_looked_up_once(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = keys_of(gateway)
    secret, find = keys.add("a"), keys.find
    asked: list[str] = []

    def watched(given: str) -> Key | None:
        asked.append(given)
        return find(given)

    monkeypatch.setattr(keys, "find", watched)
    async with client_of(create_app(gateway)) as client:
        assert (await client.post(CHAT, json=HELLO, headers=bearer(secret))).status_code == 200
    assert asked == [secret]


@pytest.mark.parametrize("kind", ["Content-Length: 5000", "Transfer-Encoding: chunked"])
async def test_a_body_that_does_not_go_on_ends(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "IDLE_S", 0.2)
    async with listening(PlayedModel(ANSWER)) as client:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n\r\n".encode())
        for _ in range(5):  # slow is fine
            await asyncio.sleep(0.1)
            writer.write(b"1\r\n \r\n")
        reply = await asyncio.wait_for(reader.read(), 60)  # the connection is closed
        writer.close()
        assert reply.startswith(b"HTTP/1.1 408") and b"nothing came for 0.2 s" in reply


async def test_an_answer_may_take_longer_than_a_body(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "IDLE_S", 0.1)
    model = PlayedModel((*ANSWER[:3], None))
    async with listening(model) as client, AsyncExitStack() as stack:
        stream = await stack.enter_async_context(client.stream("POST", CHAT, json=HELLO | {"stream": True}))
        with pytest.raises(httpx.ReadTimeout):
            async with client.stream("POST", CHAT, json=HELLO, timeout=0.4):
                pass
        assert stream.status_code == 200 and model.ended <= 1


async def test_managing_a_real_server_always_needs_a_key(gateway: Gateway) -> None:
    gateway = replace(gateway, control=Control("http://127.0.0.1:1"))
    assert gateway.control is not None
    async with client_of(create_app(gateway)) as client:
        for headers in ({}, bearer("anything")):
            refused = await client.get(MANAGED, headers=headers)
            assert refused.status_code == 401 and refused.headers["www-authenticate"] == "Bearer"
            said = refused.json()["message"]
            assert "ggufrun keys add NAME --scope admin" in said and "ggufrun ps" in said and "ggufrun stop" in said
        assert (await client.post("/ggufrun/v1/stop")).status_code == 401
        assert (await client.post(CHAT, json=HELLO)).status_code == 200
        assert (await client.get(MANAGED, headers=bearer(gateway.control.token))).status_code == 200
        chat, admin = keys_of(gateway).add("c"), keys_of(gateway).add("a", "admin")
        assert (await client.get(MANAGED, headers=bearer(chat))).status_code == 403
        assert (await client.get(MANAGED, headers=bearer(admin))).status_code == 200


@pytest.mark.parametrize("cors", ["*", "https://app.example"])
async def test_no_page_manages_whatever_cors_says(cors: str) -> None:
    settings = ServerSettings(cors=(cors,), root_path="/llm")
    async with client_of(create_app(gateway_for(PlayedModel(ANSWER), settings))) as client:
        page = {"Origin": "https://app.example"}
        preflight = page | {"Access-Control-Request-Method": "POST"}
        for path in (MANAGED, "/llm" + MANAGED):
            replies = [await client.get(path, headers=page), await client.options(path, headers=preflight)]
            for reply in replies:
                assert reply.status_code == 403
                assert not [name for name in reply.headers if name.startswith("access-control")]
            assert (await client.get(path)).status_code == 200
        assert (await client.options(CHAT, headers=preflight)).headers["access-control-allow-origin"]
