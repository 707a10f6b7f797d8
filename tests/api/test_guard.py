"""What stands in front of the routes, over real sockets: ids, the log, Host and Origin, CORS, the limit of bodies."""

import asyncio
import json
import logging
import re
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ggufrun.api.app import create_app, gateway_for
from ggufrun.api.gateway import ServerSettings
from ggufrun.chat.types import ChatEvent, ChoiceFinished, Completed, PromptProcessed, Started, TextDelta
from ggufrun.engine.types import Stats
from tests.api.scripted import PlayedModel, client_of, listening

SECRET = "the password is swordfish"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": SECRET}]}
CHAT = "/v1/chat/completions"
ANSWER: tuple[ChatEvent, ...] = (
    Started(7, 100),
    PromptProcessed(7, 7, 3),
    TextDelta("the answer is carp"),
    ChoiceFinished("stop"),
    Completed(7, 4, (Stats(7, 3, 4),), 0.1, 0.2, 11, 100),
)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "ggufrun.access")
    caplog.set_level(logging.INFO, "ggufrun.prompts")
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in log.records if record.name == "ggufrun.access"]


def settled(settings: ServerSettings, *script: ChatEvent | Exception) -> httpx.AsyncClient:
    return client_of(create_app(gateway_for(PlayedModel(script or ANSWER), settings)))


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_request_is_one_line_in_the_log_without_what_was_said(
    log: pytest.LogCaptureFixture, streamed: bool
) -> None:
    async with listening(PlayedModel(ANSWER)) as client:
        headers = {"Authorization": "Bearer sk-hidden"}
        response = await client.post(f"{CHAT}?key=sk-hidden", json=HELLO | {"stream": streamed}, headers=headers)
    assert response.status_code == 200
    [line] = lines(log)
    id = response.headers["x-request-id"]
    assert re.fullmatch(rf"{id} POST {CHAT} 200 \d+ ms model=played tokens=7\+4", line)
    assert "sk-hidden" not in log.text and "swordfish" not in log.text and "carp" not in log.text


async def test_every_reply_has_the_id_that_the_log_has(log: pytest.LogCaptureFixture) -> None:
    gateway = gateway_for(PlayedModel((ValueError("a bug"),)), ServerSettings(max_body=1000))
    async with listening(PlayedModel(()), gateway) as client:
        replies = [
            await client.get("/nowhere"),
            await client.get(CHAT),
            await client.post(CHAT, json={}),
            await client.post(CHAT, content=b"{", headers={"Content-Type": "application/json"}),
            await client.get("/health", headers={"Host": "evil.example"}),
            await client.post(CHAT, content=b" " * 2000),
            await client.post(CHAT, json=HELLO),
        ]
    assert [reply.status_code for reply in replies] == [404, 405, 422, 422, 403, 413, 500]
    for reply, line in zip(replies, lines(log), strict=True):
        assert line.startswith(f"{reply.headers['x-request-id']} ") and f" {reply.status_code} " in line
        body = reply.json()
        assert body["object"] == "error" and body["error"]["message"] == body["message"] != ""
    assert any(replies[-1].headers["x-request-id"] in record.getMessage() for record in log.records if record.exc_info)
    assert "a bug" not in replies[-1].text


async def test_nobody_writes_a_line_of_their_own(log: pytest.LogCaptureFixture) -> None:
    async with listening(PlayedModel(())) as client:
        await client.get("/a%0a2026-01-01%20forged%1b[2J?secret=1")
    [line] = lines(log)
    assert "GET /a%0A2026-01-01%20forged%1B%5B2J 404 " in line


async def test_prompts_are_logged_where_that_is_wanted(log: pytest.LogCaptureFixture) -> None:
    async with settled(ServerSettings(log_prompts=True)) as client:
        reply = await client.post(CHAT, json=HELLO)
    [line] = [record.getMessage() for record in log.records if record.name == "ggufrun.prompts"]
    assert line.startswith(reply.headers["x-request-id"]) and SECRET in line and "carp" in line


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "10.0.0.7:8080", "localhost.evil.example", "x@y", ""]
)
async def test_a_name_made_to_resolve_to_us_is_refused(host: str) -> None:
    model = PlayedModel(ANSWER)
    async with listening(model) as client:
        reply = await client.post(CHAT, json=HELLO, headers={"Host": host})
    assert reply.status_code == 403 and reply.json()["code"] == "host_not_allowed"
    assert "--allowed-host" in reply.json()["message"] and model.requests == []


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]:9", "127.0.0.2", "localhost.", "API.example"]
)
async def test_names_of_this_machine_and_allowed_ones_are_fine(host: str) -> None:
    async with settled(ServerSettings(allowed_hosts=("api.Example",))) as client:
        assert (await client.get("/health", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        ((), "any.example", 200),
        (("api.example",), "any.example", 403),
        (("api.example",), "api.example:443", 200),
        (("api.example",), "192.168.1.5:8080", 200),
        (("api.example",), "localhost", 200),
    ],
)
async def test_hosts_of_a_server_that_others_reach(allowed: tuple[str, ...], host: str, status: int) -> None:
    async with settled(ServerSettings(loopback=False, allowed_hosts=allowed)) as client:
        assert (await client.get("/health", headers={"Host": host})).status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://evil.example", 403),
        ("null", 403),
        ("http://localhost:3000", 403),
        ("http://127.0.0.1:8081", 403),
        ("garbage", 403),
        ("http://[", 403),
        ("http://127.0.0.1:8080", 200),
        ("https://127.0.0.1:8080", 200),
        ("https://api.example", 200),
        ("app://friend", 200),
    ],
)
async def test_pages_of_other_origins_cannot_use_the_models(origin: str, status: int) -> None:
    """A browser sends a simple request without asking first, and never mind that the page may not read the reply."""
    settings = ServerSettings(allowed_hosts=("api.example",), cors=("app://friend",))
    model = PlayedModel(ANSWER)
    async with client_of(create_app(gateway_for(model, settings))) as client:
        headers = {"Host": "127.0.0.1:8080", "Origin": origin}
        reply = await client.post(CHAT, json=HELLO, headers=headers)
    assert (reply.status_code, len(model.requests)) == (status, int(status == 200))
    if status == 403:
        assert reply.json()["code"] == "origin_not_allowed" and "--cors" in reply.json()["message"]


async def test_without_cors_no_page_gets_leave() -> None:
    async with listening(PlayedModel(ANSWER)) as client:
        headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
        preflight = await client.options(CHAT, headers=headers)
        plain = await client.get("/v1/models")
    assert preflight.status_code == 403
    assert not [name for reply in (preflight, plain) for name in reply.headers if name.startswith("access-control")]


@pytest.fixture
async def page() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server with --cors, as a browser on its page is."""
    settings = ServerSettings(cors=("https://app.example",), max_body=1000)
    model = PlayedModel((*ANSWER[:3], ValueError("a bug")))
    async with listening(model, gateway_for(model, settings)) as client:
        client.headers["Origin"] = "https://app.example"
        yield client


async def test_cors_preflight(page: httpx.AsyncClient) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-os",
        "Access-Control-Request-Private-Network": "true",
    }
    reply = await page.options(CHAT, headers=asked)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == "https://app.example"
    assert "x-stainless-os" in reply.headers["access-control-allow-headers"]
    assert "POST" in reply.headers["access-control-allow-methods"]
    assert reply.headers["access-control-allow-private-network"] == "true"
    assert "access-control-allow-credentials" not in reply.headers and reply.headers["x-request-id"]
    other = await page.options(CHAT, headers=asked | {"Origin": "https://other.example"})
    assert other.status_code == 403 and "access-control-allow-origin" not in other.headers


async def test_errors_too_can_be_read_by_the_page(page: httpx.AsyncClient) -> None:
    replies = [
        await page.get("/v1/models"),
        await page.get("/nowhere"),
        await page.post(CHAT, json={}),
        await page.post(CHAT, content=b" " * 2000),
        await page.post(CHAT, json=HELLO),
    ]
    assert [reply.status_code for reply in replies] == [200, 404, 422, 413, 500]
    for reply in replies:
        assert reply.headers["access-control-allow-origin"] == "https://app.example"
        assert "x-request-id" in reply.headers["access-control-expose-headers"]


async def test_a_proxy_may_mount_the_server_and_strip_the_prefix_or_not() -> None:
    async with settled(ServerSettings(root_path="/llm")) as client:
        for path in ("/v1/models", "/llm/v1/models", "/v1/v1/models", "/llm/v1/v1/models", "/llm/docs"):
            assert (await client.get(path)).status_code == 200, path
        assert (await client.get("/v1/v1/v1/models")).status_code == 404
        assert (await client.get("/other/v1/v1/models")).status_code == 404
        assert (await client.get("/openapi.json")).json()["servers"] == [{"url": "/llm"}]
        assert '"/llm/openapi.json"' in (docs := (await client.get("/docs")).text.replace("'", '"')), docs


LIMIT = 100_000


@pytest.fixture
async def small() -> AsyncIterator[httpx.AsyncClient]:
    model = PlayedModel(ANSWER)
    async with listening(model, gateway_for(model, ServerSettings(max_body=LIMIT))) as client:
        yield client


async def pieces(size: int) -> AsyncIterator[bytes]:
    for _ in range(0, size, 50_000):
        yield b" " * 50_000


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_413(
    small: httpx.AsyncClient, chunked: bool, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Content-Type": "application/json"}
    for _ in range(2):
        content = pieces(5_000_000) if chunked else b" " * 5_000_000
        reply = await small.post(CHAT, content=content, headers=headers)
        assert reply.status_code == 413 and reply.json()["code"] == "request_too_large"
        assert "--max-body" in reply.json()["message"] and "0.1 MB" in reply.json()["message"]
    assert (await small.post(CHAT, json=HELLO)).status_code == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_just_the_limit_is_taken(small: httpx.AsyncClient, chunked: bool) -> None:
    text = json.dumps(HELLO).encode()

    async def two() -> AsyncIterator[bytes]:
        yield text
        yield b" " * (LIMIT - len(text))

    content = two() if chunked else text.ljust(LIMIT)
    reply = await small.post(CHAT, content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code == 200, reply.text


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_client_that_reads_only_when_it_has_sent_all_gets_the_reply(
    small: httpx.AsyncClient, chunked: bool
) -> None:
    """Were the connection closed under it, its system would throw the reply away."""
    size = 20_000_000

    def exchange() -> bytes:
        with socket.create_connection((small.base_url.host, small.base_url.port or 0), timeout=20) as peer:
            kind = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
            peer.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\n{kind}\r\n\r\n".encode())
            if chunked:
                for _ in range(20):
                    peer.sendall(b"f4240\r\n" + bytes(1_000_000) + b"\r\n")
                peer.sendall(b"0\r\n\r\n")
            else:
                peer.sendall(bytes(size))
            return b"".join(iter(lambda: peer.recv(65536), b""))

    reply = await asyncio.to_thread(exchange)
    assert reply.startswith(b"HTTP/1.1 413") and b"connection: close" in reply.lower()
    assert reply.endswith(b"}") and b"request_too_large" in reply


async def test_a_client_that_asks_first_need_not_send(small: httpx.AsyncClient) -> None:
    def exchange() -> bytes:
        with socket.create_connection((small.base_url.host, small.base_url.port or 0), timeout=20) as peer:
            head = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900000\r\nExpect: 100-continue\r\n\r\n"
            peer.sendall(head.encode())
            return peer.recv(65536)

    assert (await asyncio.to_thread(exchange)).startswith(b"HTTP/1.1 413")
