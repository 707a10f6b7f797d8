"""The gate by itself, without Gradio: cookies, proxies, tries and bodies, as an ASGI application sees them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from ggufrun.ui.client import Server
from ggufrun.ui.fetching import Foreign, checked
from ggufrun.ui.forwarded import forwarded
from ggufrun.ui.gate import Gate
from ggufrun.ui.page import Page, PageSettings
from ggufrun.ui.sessions import COOKIE, Sessions
from ggufrun.ui.tries import FREE, Tries

KEY = "gr-right"
FILE = {"path": "/tmp/x/note.txt", "url": "http://127.0.0.1:1/gradio_api/file=/tmp/x/note.txt", "size": 5}
META = {"_type": "gradio.FileData"}


@pytest.mark.parametrize("other", ['x={"a": 1, "b": 2}', "x=a b", "a[b]=1", "x=é", "flag", "path=/a"])
def test_cookies_of_other_programs_do_not_hide_ours(other: str) -> None:
    sessions = Sessions()
    ours = f"{COOKIE}_8080={sessions.begin(KEY)}"
    for cookies in (f"{other}; {ours}", f"{ours}; {other}", f"{other}; {ours}; {other}"):
        assert sessions.key_of(cookies) == KEY, cookies
    sessions.end(f"{other}; {ours}")
    assert sessions.key_of(ours) == ""


def test_which_requests_a_proxy_has_passed_on() -> None:
    for name in ("Forwarded", "X-Forwarded-For", "x-forwarded-proto", "X-Real-IP", "Via"):
        assert forwarded(["host", name]), name
    assert not forwarded(["host", "cookie", "x-gradio-user", "origin"])


@asynccontextmanager
async def gate(
    answer: Callable[[str], httpx.Response], *, key: str = "", token: str = "", always: bool = False
) -> AsyncIterator[tuple[httpx.AsyncClient, Server]]:
    """A browser before it, and behind it a page that tells its body. `answer`: to the server's key."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).body()
        await PlainTextResponse(body)(scope, receive, send)

    async def api(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        return answer(request.headers.get("authorization", "").removeprefix("Bearer "))

    server = Server("http://127.0.0.1:1", own=bool(token), key=key, token=token)
    await server._http.aclose()
    server._http = httpx.AsyncClient(base_url=server.url, transport=httpx.MockTransport(api))
    door = Gate(page, server, always=always)
    door._tries = Tries(clock=lambda: 0.0)  # a busy machine takes longer than the first pause
    over = httpx.ASGITransport(door)
    async with httpx.AsyncClient(transport=over, base_url="http://localhost:8080") as browser:
        yield browser, server
    await server.close()


def with_keys(key: str) -> httpx.Response:
    return httpx.Response(200 if key == KEY else 401, json={"told": key})


def without_keys(key: str) -> httpx.Response:
    return httpx.Response(200, json={"told": key})


async def test_many_wrong_tries_at_once_are_slowed_down_and_a_right_key_is_not() -> None:
    async with gate(with_keys) as (browser, _):
        wrong = [browser.post("/login", data={"key": f"gr-{number}"}) for number in range(30)]
        codes = [reply.status_code for reply in await asyncio.gather(*wrong)]
        assert codes.count(401) == FREE and codes.count(429) == 30 - FREE, codes
        assert (await browser.post("/login", data={"key": KEY})).status_code == 303
        assert (await browser.post("/login", data={"key": "gr-wrong"})).status_code == 401


async def test_a_proxy_that_nobody_declared_is_lent_nothing() -> None:
    passed = {"X-Forwarded-For": "203.0.113.7"}
    async with gate(with_keys, key=KEY) as (browser, _):
        assert (await browser.get("/")).status_code == 200
        assert (await browser.get("/", headers=passed)).status_code == 401
        assert (await browser.post("/login", data={"key": KEY}, headers=passed)).status_code == 303
        assert (await browser.get("/", headers=passed)).status_code == 200
    async with gate(without_keys, token="secret") as (browser, server):
        assert (await server.user("").get("/x"))["told"] == "secret"
        assert (await server.user("", lent=False).get("/x"))["told"] == ""
        assert (await browser.get("/", headers=passed)).status_code == 200


async def test_a_login_where_nobody_is_asked_for_a_key() -> None:
    async with gate(without_keys) as (browser, _):
        for reply in (await browser.get("/login"), await browser.post("/login", data={"key": "any"})):
            assert (reply.status_code, reply.headers["location"]) == (303, "/") and "set-cookie" not in reply.headers
    async with gate(without_keys, always=True) as (browser, _):
        for reply in (await browser.get("/login"), await browser.post("/login", data={"key": "any"})):
            assert "ggufrun keys add NAME" in reply.text and "set-cookie" not in reply.headers
        assert (await browser.get("/")).status_code == 401


async def test_logging_out_is_for_the_pages_own_browser() -> None:
    async with gate(with_keys) as (browser, _):
        made = (await browser.post("/login", data={"key": KEY})).headers["set-cookie"]
        for site in ("cross-site", "same-site"):
            reply = await browser.get("/logout", headers={"Sec-Fetch-Site": site})
            assert reply.status_code == 403 and "set-cookie" not in reply.headers
        assert (await browser.get("/")).status_code == 200
        bare = await browser.get("/logout", headers={"Cookie": ""})
        assert bare.status_code == 303 and "set-cookie" not in bare.headers  # as from another site
        dropped = (await browser.get("/logout", headers={"Sec-Fetch-Site": "same-origin"})).headers["set-cookie"]
        kept = {part for part in made.split("; ")[1:] if "Max-Age" not in part}
        assert kept and kept <= set(dropped.split("; ")), (made, dropped)
        assert (await browser.get("/")).status_code == 401


async def test_no_body_names_a_file_of_another_host() -> None:
    async with gate(without_keys) as (browser, _):
        for address in ("http://example.com/x", "https://example.com/x", " ftp://example.com", "HTTP://example.com"):
            hidden = {"data": [{"files": [[{"deep": {"path": address, "meta": META}}]]}], "fn_index": 1}
            for path in ("queue/join", "run/predict", "component_server/"):
                for encoding in ("utf-8", "utf-16"):
                    body = json.dumps(hidden).encode(encoding)
                    reply = await browser.post(f"/gradio_api/{path}", content=body)
                    assert reply.status_code == 400, (path, address, encoding)
        own = {"data": [{**FILE, "meta": META}, {"path": "http://is.no/file"}], "fn_index": 1}
        reply = await browser.post("/gradio_api/queue/join", json=own)
        assert reply.status_code == 200
        file, other = reply.json()["data"]
        assert file["path"] == FILE["path"] and "url" not in file and other == {"path": "http://is.no/file"}
        for path in ("call/x", "run/x", "queue/x", "cancel/x", "info"):
            assert (await browser.post(f"/gradio_api/{path}", json=own)).status_code == 404, path


async def test_who_leaves_within_a_question_gets_no_answer() -> None:
    """A browser that is closed: half a body is no bad request, and nobody is to look for one in the log."""
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"fn_ind', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def none(*_: Any) -> None:
        raise AssertionError("Somebody is asked, or answered.")

    server = Server("http://127.0.0.1:1")
    scope: Scope = {"type": "http", "method": "POST", "path": "/gradio_api/queue/join", "headers": []}
    await Gate(none, server)._to_page(scope["path"], scope, receive, none)
    assert not messages
    await server.close()


def test_what_is_no_json_is_refused_and_what_names_no_file_stays_as_it_is() -> None:
    for body in (b"{", b"[" * 100_000, b"\xff\xfe\x00"):
        with pytest.raises(Foreign):
            checked(body)
    for body in (b"", b'{ "data": ["\xc3\xa9"] }'):
        assert checked(body) == body


async def test_nobody_waits_for_a_page_that_is_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Page, "_built", lambda _: time.sleep(30.0))
    start = time.monotonic()
    async with Page(PageSettings("http://127.0.0.1:1"), tmp_path).running():
        await asyncio.sleep(0.1)
    assert time.monotonic() - start < 20
