"""The login beyond the plain case: --auth, behind a reverse proxy, over https. Over HTTP only, as programs see it."""

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.served import Served, served
from tests.api.test_serve_options import certificate
from tests.program import at_home, run_ggufrun
from tests.ui.keyed import drop_key, log_in, make_key

__all__ = ["certificate"]
pytestmark = pytest.mark.process


def test_auth_asks_on_this_machine_too_and_needs_a_key_to_start(
    tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    model = tiny_model("llama-tiny")
    refused = run_ggufrun("serve", str(model), "--auth", "--port", "0", environment=at_home(tmp_path))
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1 and "ggufrun keys add NAME" in refused.stderr
    key = make_key(tmp_path, "anna")
    with served(model, tmp_path, "--auth", page=True) as server:
        assert run_ggufrun("keys", "clear", environment=at_home(tmp_path)).returncode == 0
        for path in ("/", "/v1/models", "/gradio_api/startup-events", "/ggufrun/v1/chats"):
            assert server.client.get(path).status_code == 401, path  # also when the keys are gone
        assert log_in(server.client, key).status_code == 401
        again = make_key(tmp_path, "anna")
        assert log_in(server.client, again).status_code == 303 and server.client.get("/").status_code == 200
        drop_key(tmp_path, "anna")


@pytest.fixture(scope="module")
def proxied(
    tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Served, str]]:
    home = tmp_path_factory.mktemp("home")
    key = make_key(home, "anna", "admin")
    options = ("--root-path", "/llm", "--allowed-host", "ai.example.org")
    with served(tiny_model("llama-tiny"), home, *options, page=True) as server:
        yield server, key


@pytest.mark.parametrize("stripped", [True, False], ids=["stripped", "whole"])
def test_behind_a_proxy(proxied: tuple[Served, str], *, stripped: bool) -> None:
    """Which may take its own path away or not."""
    server, key = proxied
    before = "" if stripped else "/llm"
    headers = {"Host": "ai.example.org", "X-Forwarded-Proto": "https", "Origin": "https://ai.example.org"}
    with httpx.Client(base_url=server.client.base_url, headers=headers, timeout=60) as client:
        page = client.get(f"{before}/", headers={"Accept": "text/html"})
        assert page.status_code == 401 and 'action="/llm/login"' in page.text
        reply = client.post(f"{before}/login", data={"key": key})
        assert (reply.status_code, reply.headers["Location"]) == (303, "/llm/")
        cookie = reply.headers["Set-Cookie"]
        assert "Path=/llm/;" in cookie and "; Secure" in cookie and "HttpOnly" in cookie and "SameSite=strict" in cookie
        mine = {"Cookie": cookie.partition(";")[0]}
        page = client.get(f"{before}/", headers=mine)
        assert page.status_code == 200 and "https://ai.example.org/llm" in page.text
        assert client.get(f"{before}/gradio_api/startup-events", headers=mine).status_code == 200
        assert client.get(f"{before}/gradio_api/info", headers=mine).status_code == 404
        icon = client.get(f"{before}/manifest.json").json()["icons"][0]["src"]
        assert icon == "pwa_icon" and client.get(f"{before}/{icon}").status_code == 200
        out = client.get(f"{before}/logout", headers=mine | {"Sec-Fetch-Site": "cross-site"})
        assert out.status_code == 403 and client.get(f"{before}/", headers=mine).status_code == 200
        out = client.get(f"{before}/logout", headers=mine)
        assert (out.status_code, out.headers["Location"]) == (303, "/llm/login")
        assert client.get(f"{before}/", headers=mine).status_code == 401


def test_over_https(certificate: tuple[Path, Path], tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    file, secret = certificate
    options = ("--tls-cert", str(file), "--tls-key", str(secret))
    with served(
        tiny_model("llama-tiny"),
        tmp_path,
        *options,
        verify=ssl.create_default_context(cafile=str(file)),
        page=True,
    ) as server:
        assert server.client.get("/").status_code == 200
        assert "Secure" in log_in(server.client, make_key(tmp_path, "anna")).headers["Set-Cookie"]
        assert server.client.get("/").status_code == 200
