"""Several models behind one real server: loaded on first use, unloaded for each other, by hand and by time."""

import json
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ggufrun.cli import main
from tests.api.pooled import Pooled, command, pooled, states


@pytest.fixture(scope="module")
def files(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two small models under names of their own."""
    folder = tmp_path_factory.mktemp("models")
    made = [folder / f"{name}.gguf" for name in ("first", "second")]
    for path in made:
        path.symlink_to(tiny_model("llama-tiny"))
    return [str(path) for path in made]


@pytest.fixture(scope="module")
def server(files: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pooled]:
    with pooled(tmp_path_factory.mktemp("home"), *files, "--max-loaded", "1") as running:
        yield running


def test_loaded_on_first_use_one_at_a_time(server: Pooled) -> None:
    listed = server.client.get("/v1/models").json()["data"]
    assert [(model["id"], model["max_context_length"]) for model in listed] == [("first", 16_384), ("second", 16_384)]
    for name, other in (("first", "second"), ("second", "first")):
        assert server.chat(name).status_code == 200
        assert (server.model(name)["state"], server.model(other)["state"]) == ("ready", "unloaded")
        assert server.workers() == 1
    now = server.model("second")
    assert now["memory_bytes"] == now["needs_bytes"] > 100_000 and now["active"] == 0 and now["idle_s"] >= 0
    assert server.model("first")["memory_bytes"] == 0
    refused = server.chat("third")
    assert (refused.status_code, refused.json()["code"]) == (400, "1500")


def test_load_and_unload(server: Pooled) -> None:
    loaded = server.admin.post("/ggufrun/v1/models/FIRST/load")
    assert (loaded.status_code, loaded.json()["name"], loaded.json()["state"]) == (200, "first", "ready")
    assert server.workers() == 1
    unloaded = server.admin.post("/ggufrun/v1/models/first/unload")
    assert (unloaded.status_code, unloaded.json()["state"], server.workers()) == (200, "unloaded", 0)
    assert server.admin.post("/ggufrun/v1/models/first/load?wait=false").json()["state"] in ("waiting", "loading")
    server.until(lambda: server.model("first")["state"] == "ready")
    for path in ("GET /models/no/such", "POST /models/no/such/load", "POST /models/no/such/unload"):
        method, at = path.split()
        missing = server.admin.request(method, f"/ggufrun/v1{at}")
        assert missing.status_code == 404 and "'no/such'" in missing.json()["message"]


def test_a_streaming_client_keeps_its_model_and_the_other_waits(server: Pooled) -> None:
    body = {"model": "first", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 99, "min_tokens": 99}
    with server.client.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        second = server.admin.post("/ggufrun/v1/models/second/load?wait=false")
        assert second.json()["state"] in ("waiting", "loading", "ready")
        rest = [line for line in lines if line]
    assert rest[-1] == "data: [DONE]" and '"finish_reason": "length"' in rest[-2]
    server.until(lambda: server.model("second")["state"] == "ready")
    assert server.workers() == 1


def test_a_client_that_leaves_does_not_wait_on(server: Pooled) -> None:
    server.admin.post("/ggufrun/v1/models/second/unload")
    body = {"model": "first", "messages": [{"role": "user", "content": "Hi"}], "min_tokens": 16_000, "stream": True}
    with server.client.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        next(lines)
        for streamed in (True, False):
            with pytest.raises(httpx.ReadTimeout):
                asked = {**body, "model": "second", "stream": streamed}
                server.client.post("/v1/chat/completions", json=asked, timeout=httpx.Timeout(60, read=0.5))
            server.until(lambda: server.model("second")["active"] == 0)
            assert server.model("first")["active"] == 1  # all the while
            assert server.model("second")["state"] == "unloaded"  # nobody wants its place any more
    server.until(lambda: sum("completions 499 " in line and "=second" in line for line in server.log) == 2)


def test_ps_and_stop_of_a_model(server: Pooled) -> None:
    server.admin.post("/ggufrun/v1/models/second/load")
    assert states(server.ggufrun("ps", "--json")) == {"first": "unloaded", "second": "ready"}
    table = server.ggufrun("ps").stdout.splitlines()
    assert [line.split()[:2] for line in table] == [["NAME", "STATE"], ["first", "unloaded"], ["second", "ready"]]
    done = server.ggufrun("stop", "second")
    assert done.returncode == 0 and "second is unloaded" in done.stderr and server.workers() == 0
    wrong = server.ggufrun("stop", "nothing")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1) and "'nothing'" in wrong.stderr


def test_usage_and_the_server(server: Pooled) -> None:
    assert server.chat("first").status_code == 200
    server.until(lambda: usage(server)["total"]["calls"] > 0)
    assert "first F16" in [row["name"] for row in usage(server)["rows"]]
    assert server.admin.get("/ggufrun/v1/usage", params={"by": "colour"}).status_code == 422
    assert server.admin.get("/ggufrun/v1/usage", params={"since": "2100-01-01"}).json()["total"]["calls"] == 0
    about = server.admin.get("/ggufrun/v1/server").json()
    assert (about["pid"], about["address"]) == (server.process.pid, str(server.client.base_url).rstrip("/"))
    assert about["started"].startswith("20") and about["version"]


def usage(server: Pooled) -> dict[str, Any]:
    answer: dict[str, Any] = server.admin.get("/ggufrun/v1/usage?by=model").raise_for_status().json()
    return answer


def test_the_document_describes_the_management(server: Pooled) -> None:
    paths = server.client.get("/openapi.json").json()["paths"]
    ours = {path: each for path, each in paths.items() if path.startswith("/ggufrun/v1/")}
    managing = {path for path, each in ours.items() if any("management" in route["tags"] for route in each.values())}
    assert managing == {
        *(f"/ggufrun/v1/{path}" for path in ("models", "usage", "keys", "keys/{name}", "server", "stop")),
        *(f"/ggufrun/v1/models/{{name}}{path}" for path in ("", "/load", "/unload")),
    }
    for path, methods in ours.items():
        for method, route in methods.items():
            assert route["summary"] and {"401", "403"} <= set(route["responses"]), f"{method} {path}"


def test_keys_and_the_way_of_the_local_user(server: Pooled) -> None:
    (place,) = (server.home / "run").glob("*.json")
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    for path in ("models", "keys"):
        refused = server.client.get(f"/ggufrun/v1/{path}")
        assert refused.status_code == 401 and "--scope admin" in refused.json()["message"]
    assert server.client.post("/ggufrun/v1/keys", json={"name": "me", "scope": "admin"}).status_code == 401
    made = server.admin.post("/ggufrun/v1/keys", json={"name": "boss", "scope": "admin"})
    assert made.status_code == 201 and made.json()["note"] == ""
    admin = {"Authorization": f"Bearer {made.json()['key']}"}
    try:
        assert server.client.get("/ggufrun/v1/models").status_code == 401
        asked = {"name": "chat", "models": ["FIRST", "third"]}
        done = server.client.post("/ggufrun/v1/keys", json=asked, headers=admin).json()
        chat = done["key"]
        assert done["note"] == "Not served here now: third."
        refused = server.client.post("/ggufrun/v1/stop", headers={"Authorization": f"Bearer {chat}"})
        assert refused.status_code == 403
        assert states(server.ggufrun("ps", "--json")).keys() == {"first", "second"}
        again = server.client.post("/ggufrun/v1/keys", json={"name": "boss"}, headers=admin)
        assert again.status_code == 409 and "There is a key called 'boss'" in again.json()["message"]
        none = server.client.post("/ggufrun/v1/keys", json={"name": "x", "tokens_per_day": 0}, headers=admin)
        assert none.status_code == 422 and none.json()["param"] == "tokens_per_day" and "--" not in none.text
        listed = server.client.get("/ggufrun/v1/keys", headers=admin)
        assert [key["name"] for key in listed.json()["data"]] == ["boss", "chat"]
        assert made.json()["key"] not in listed.text and json.loads(place.read_text())["token"] not in listed.text
        assert server.client.delete("/ggufrun/v1/keys/chat", headers=admin).json()["name"] == "chat"
        gone = server.client.delete("/ggufrun/v1/keys/chat", headers=admin)
        assert gone.status_code == 404 and "There are: boss." in gone.json()["message"]
    finally:
        server.ggufrun("keys", "clear")


def test_stop_ends_the_server_and_its_models(server: Pooled) -> None:
    server.admin.post("/ggufrun/v1/models/first/load")
    assert server.workers() == 1
    done = server.ggufrun("stop")
    assert done.returncode == 0 and "has ended" in done.stderr, done.stderr
    assert server.process.wait(60) == 0
    assert not list((server.home / "run").iterdir())
    nobody = server.ggufrun("ps", "--url", str(server.client.base_url))
    assert nobody.returncode == 1 and "No server answers" in nobody.stderr and "ggufrun serve" in nobody.stderr


def test_quants_of_one_model_are_told_apart_and_names_can_be_given(files: list[str], tmp_path: Path) -> None:
    others = [tmp_path / folder / "first.gguf" for folder in ("x", "y")]
    for other in others:
        other.parent.mkdir()
        other.symlink_to(files[0])
    with pooled(tmp_path / "home", files[0], str(others[0]), f"mine={files[1]}", "--context", "512") as server:
        names = ["first", "first:F16", "mine"]
        assert [model["id"] for model in server.client.get("/v1/models").json()["data"]] == names
        for name in names:
            answer = server.chat(name)
            assert (answer.status_code, answer.json()["model"]) == (200, name)
            assert server.model(name)["state"] == "ready"
        twice = server.admin.post("/ggufrun/v1/models", json={"spec": files[1]})
        assert twice.status_code == 400 and "second.gguf is served already, as mine." in twice.json()["message"]
        assert (twice.json()["code"], twice.json()["error"]["served_as"]) == ("served_already", "mine")
        assert [server.model(name)["path"] for name in names] == [files[0], str(others[0]), files[1]]
        for name, said in (
            ("MINE", "'MINE' already"),
            ("a/b", "cannot be called 'a/b'"),
            ("x" * 101, "100 characters"),
        ):
            refused = server.admin.post("/ggufrun/v1/models", json={"spec": str(others[1]), "name": name})
            assert refused.status_code in (400, 422) and said in refused.json()["message"], refused.text
        added = server.admin.post("/ggufrun/v1/models", json={"spec": str(others[1]), "name": "third:one"})
        assert (added.status_code, added.json()["name"]) == (201, "third:one")
        assert server.chat("third:one").json()["model"] == "third:one"
        assert "first:F16" in states(server.ggufrun("ps", "--json"))
        assert "first:F16 is unloaded" in server.ggufrun("stop", "first:F16").stderr


def test_ttl_and_a_load_that_takes_too_long(files: list[str], tmp_path: Path) -> None:
    with pooled(tmp_path, files[0], "--ttl", "0.5s", "--load-timeout", "0.1s", "--context", "512") as server:
        assert server.model("first")["state"] == "unloaded"  # with --ttl one model waits for its first request too
        early = server.chat("first")
        assert (early.status_code, early.json()["code"]) == (503, "model_loading")
        assert int(early.headers["Retry-After"]) >= 1
        server.until(lambda: server.model("first")["state"] == "ready")  # it went on loading
        assert server.chat("first").status_code == 200
        server.until(lambda: server.model("first")["state"] == "unloaded")
        assert server.workers() == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.gguf"], "missing.gguf: there is no such file"),
        (["A", "missing.gguf"], "missing.gguf: there is no such file"),
        (["A", "A"], "first.gguf is served already, as first. Name each file once."),
        (["A", "other=A"], "first.gguf is served already, as first."),
        (["same=A", "same=B"], "same answers to the name 'same' already. Choose another name."),
        (["small=missing.gguf"], "missing.gguf: there is no such file"),
        (["A", "--ttl", "soon"], "--ttl cannot be 'soon'"),
        (["A", "--load-timeout", "0"], "--load-timeout cannot be '0'"),
        (["A", "--max-loaded", "0"], "--max-loaded"),
    ],
)
def test_what_cannot_be_served_is_refused_at_once(
    arguments: list[str],
    said: str,
    files: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    named = [re.sub("[AB]$", lambda found: files["AB".index(found[0])], word) for word in arguments]
    assert main(["serve", *named, "--port", "0"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and said in told
    assert not list(tmp_path.glob("run/*"))


def test_files_of_dead_servers_mislead_nobody(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name, text in (("1-1", "{"), ("2-2", '{"url": "http://127.0.0.1:2", "pid": 999999999, "token": ""}')):
        (tmp_path / "run" / f"{name}.json").write_text(text)
    done = command(tmp_path, "ps")
    assert done.returncode == 1 and "127.0.0.1:8080" in done.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["1-1.json"]
