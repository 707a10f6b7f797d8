"""How `ggufrun ps` and `ggufrun stop` find a server, and what they say where what answers is something else."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ggufrun.commandline.ps import table
from ggufrun.commandline.remote import DEFAULT_URL, NobodyThere, Remote, one_remote, remotes
from ggufrun.commandline.values import duration
from ggufrun.errors import EngineError, OptionError
from ggufrun.running import Running, announce, place_of, running, withdraw


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody is asked on the way
    return tmp_path


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """The URL of a web server that always says the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("X-Host", self.headers["Host"])
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def test_servers_are_found_by_their_files(home: Path) -> None:
    assert [server.url for server in remotes(None)] == [DEFAULT_URL]
    here = [Running(f"http://127.0.0.1:{port}", os.getpid(), f"secret-{port}") for port in (2, 1)]
    for port, server in zip((2, 1), here, strict=True):
        announce(place_of(home, port, server.pid), server)
    assert running(home) == [here[1], here[0]]
    assert [(server.url, server.key) for server in remotes(None)] == [(each.url, each.token) for each in here[::-1]]
    assert one_remote("http://127.0.0.1:2/v1/").key == "secret-2"
    assert one_remote("http://127.0.0.1:3").key == ""
    with pytest.raises(OptionError, match="2 servers run here"):
        one_remote(None)
    withdraw(place_of(home, 2, os.getpid()))
    withdraw(place_of(home, 2, os.getpid()))
    assert one_remote(None).key == "secret-1"


def test_a_key_for_servers_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GGUFRUN_API_KEY", "gr-mine")
    assert one_remote("http://192.0.2.1:8080").key == "gr-mine"


@pytest.mark.parametrize("url", ["", "here", "ftp://x", "http://", "http://x:port", "http://x:0x", "http://[::1"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(OptionError, match="--url cannot be"):
        remotes(url)


def test_answers_that_are_not_a_servers() -> None:
    message = json.dumps({"message": "This key may chat, not manage."})
    for status, body, said in (
        (200, "<html>", "no ggufrun server"),
        (404, "Not found", "no ggufrun server"),
        (500, "{}", "no ggufrun server"),
        (403, message, "may chat, not manage. Give a key with admin scope: GGUFRUN_API_KEY=KEY."),
        (404, message, "may chat, not manage."),
    ):
        with answering(status, body) as url, pytest.raises(EngineError, match=said):
            Remote(url, "", ours=False).get("/models")
    with pytest.raises(NobodyThere, match="ggufrun serve MODEL"):
        Remote("http://127.0.0.1:9", "", ours=False).get("/models")


def test_the_table_shows_no_escape_codes() -> None:
    model = {
        "name": "a\x1b[2J", "state": "loading", "progress": 0.456, "quant": "", "memory_bytes": 3 << 30,
        "context": 16_384, "active": 2, "idle_s": 7.0, "ttl_s": 7500.0,
    }  # fmt: skip
    head, row = table([model])
    assert row.split("  ")[0] == "a?[2J"
    assert [cell.strip() for cell in row.split("  ") if cell.strip()][1:] == [
        *("loading 46%", "-", "3.0 GiB", "16,384", "2", "-", "2 h 5 min"),
    ]
    assert head.index("TTL") == row.index("2 h 5 min")


def test_times() -> None:
    assert [duration(text, "--ttl") for text in ("0", "90", "0.5s", "10m", "2h", "1d")] == [
        0,
        90,
        0.5,
        600,
        7200,
        86400,
    ]
    for bad in ("", "m", "-1", "1w", "1e3", "10 m", "inf"):
        with pytest.raises(OptionError, match="--ttl cannot be"):
            duration(bad, "--ttl")
