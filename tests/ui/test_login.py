"""Who may see the page: everybody on this machine until there is a key, then those who log in with one."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.api.served import Served, served
from tests.ui.browser import Tab, tab
from tests.ui.keyed import drop_key, log_in, make_key

pytestmark = pytest.mark.process
SHUT = (
    "GET /",
    "GET /config",
    "GET /theme.css",
    "GET /assets/index.js",
    "GET /static/img/logo.svg",
    "GET /svelte/x.js",
    "GET /gradio_api/heartbeat/abc",
    "GET /gradio_api/queue/data?session_hash=abc",
    "GET /gradio_api/file=/etc/passwd",
    "GET /gradio_api/upload_progress?upload_id=a",
    "GET /gradio_api/startup-events",
    "POST /gradio_api/upload",
    "POST /gradio_api/queue/join",
    "POST /gradio_api/run/predict",
    "POST /gradio_api/component_server",
    "POST /gradio_api/cancel",
    "POST /gradio_api/reset",
)
FETCHED = "https://example.org/x"
NOBODYS = ("info", "openapi.json", f"proxy={FETCHED}", f"file={FETCHED}", f"file%3D{FETCHED}", "vibe-code/", "runs")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def server(tiny_model: Callable[[str], Path], home: Path) -> Iterator[Served]:
    """Without keys at first: the tests stand in their order."""
    with served(tiny_model("llama-tiny"), home, page=True) as running:
        yield running


@pytest.fixture(scope="module")
def address(server: Served) -> str:
    return str(server.client.base_url).rstrip("/")


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_key_that_is_made_while_the_page_is_open(browser: Browser, server: Served, address: str, home: Path) -> None:
    assert server.client.get("/login/who").json() == {"name": None}
    with tab(browser, address) as user:
        user.open()
        anna = make_key(home, "anna")
        user.page.locator("#ask textarea").fill("Hello")
        user.page.keyboard.press("Enter")
        note = user.page.locator("#refused")
        expect(note).to_contain_text("asks for an API key now")
        note.get_by_role("link", name="Log in").click()
        user.page.get_by_label("API key").fill(anna)
        user.page.get_by_role("button", name="Log in").click()
        user.page.locator("#ask textarea").wait_for()
        expect(user.page.locator("#who")).to_contain_text("anna")
        cookie = next(each for each in user.page.context.cookies() if each["name"].startswith("ggufrun_page"))
        wanted = {"httpOnly": True, "sameSite": "Strict", "secure": False, "path": "/"}
        assert dict(cookie) | wanted == dict(cookie)
        user.page.get_by_role("link", name="Log out").click()
        expect(user.page.get_by_label("API key")).to_be_visible()
        user.page.goto(address)
        expect(user.page.get_by_label("API key")).to_be_visible()
        user.wrong.clear()  # of what was refused: parts of the page too, that had not been loaded yet


def test_every_address_asks(server: Served) -> None:
    for line in SHUT:
        method, path = line.split()
        reply = server.client.request(method, path)
        assert reply.status_code == 401, line
        assert "Log in" in reply.text and "content-security-policy" in reply.headers
    page = server.client.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 401 and 'action="/login"' in page.text and "no-store" in page.headers["cache-control"]
    assert server.client.head("/").status_code == 401
    for path in ("/manifest.json", "/pwa_icon", "/favicon.ico", "/login", "/health"):
        assert server.client.get(path).status_code == 200, path


def test_what_gradio_would_fetch_for_others_is_not_there(server: Served, home: Path) -> None:
    boss = make_key(home, "boss", "admin")
    with httpx.Client(base_url=server.client.base_url, timeout=60) as client:
        assert log_in(client, boss).status_code == 303 and client.get("/").status_code == 200
        for path in NOBODYS:
            assert client.get(f"/gradio_api/{path}").status_code == 404, path
        assert client.get("/login/who").json() == {"name": "boss"}
        assert client.get("/gradio_api/startup-events").status_code == 200
        drop_key(home, "boss")
        until(lambda: client.get("/").status_code == 401)
        assert client.get("/login/who").json() == {"name": None}


def test_cross_site_and_foreign_origins_are_refused(server: Served, home: Path) -> None:
    key = make_key(home, "carl")
    with httpx.Client(base_url=server.client.base_url, timeout=60) as client:
        for headers in ({"Origin": "https://example.org"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "example.org"}):
            refused = log_in(client, key, **headers)
            assert refused.status_code == 403 and not client.cookies, headers
        assert log_in(client, key, Origin=str(client.base_url).rstrip("/")).status_code == 303
        (cookie,) = client.cookies.jar
        client.cookies.clear()
        assert client.get("/", headers={"Cookie": f"x=1; {cookie.name}={cookie.value}"}).status_code == 200
        for bad in (f"{cookie.name}=x", f"other={cookie.value}", "\x01=;;;", f"{cookie.name}=" + "a" * 5000):
            assert client.get("/", headers={"Cookie": bad}).status_code == 401


def test_wrong_keys_are_slowed_down(server: Served, home: Path) -> None:
    key = make_key(home, "dora")
    with httpx.Client(base_url=server.client.base_url, timeout=60) as client:
        told = set()
        for wrong in ("gr-wrong", "", " ", "é", "x" * 10_000):
            refused = log_in(client, wrong)
            assert refused.status_code == 401, wrong
            told.add(refused.text)
        assert len(told) == 1 and "no key of this server" in told.pop()
        # The first pause is a second, which a busy machine may have used up by now; then they double.
        slowed = next(filter(lambda reply: reply.status_code != 401, (log_in(client, "gr-wrong") for _ in range(4))))
        assert slowed.status_code == 429 and int(slowed.headers["Retry-After"]) >= 1, slowed.text
        assert "Too many wrong keys" in slowed.text
        assert log_in(client, key).status_code == 303  # nobody else's tries keep it out
        assert log_in(client, "gr-wrong").status_code == 401  # a right one is the end of it
    log = "".join(server.log)
    assert "A wrong key at the page's login, from 127.0.0.1." in log and "gr-wrong" not in log
    assert "POST /login 401" in log and "POST /login 429" in log and "POST /login 303" in log
    server.client.get("/v1/models", headers={"User-Agent": "ggufrun-page", "Authorization": "Bearer gr-wrong"})
    until(lambda: "GET /v1/models 401" in "".join(server.log))


def test_a_chat_key_chats_and_does_not_manage(browser: Browser, address: str, home: Path) -> None:
    with tab(browser, address) as user:
        enter(user, make_key(home, "emil"))
        user.page.get_by_role("tab", name="Models").click()
        assert user.page.evaluate("window.__pwned") is None


def enter(user: Tab, key: str) -> None:
    user.page.goto(user.home)
    user.page.get_by_label("API key").fill(key)
    user.page.get_by_role("button", name="Log in").click()
    user.page.locator("#ask textarea").wait_for()
    user.wrong.clear()  # the login page itself is a 401
