"""The library over HTTP: a real server, a hub that misbehaves on demand, and models that are small and load."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.pooled import Pooled, pooled
from tests.hub.fake_hub import FakeHub
from tests.hub.faults import Slow
from tests.hub.home import Home
from tests.hub.models import MIB, padded
from tests.hub.pulling import NAME, REPO

pytestmark = pytest.mark.process

Json = dict[str, Any]
Model = Callable[[str], Path]
LIBRARY = "/ggufrun/v1/library"
SPEC = f"{REPO}:Q4_K_M"


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with FakeHub() as server:
        yield server


@pytest.fixture(scope="module")
def home(hub: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("library"), hub.endpoint)


@pytest.fixture(scope="module")
def server(home: Home, tiny_model: Model) -> Iterator[Pooled]:
    """With two models, so that none is loaded at the start."""
    models = home.folder / "models"
    models.mkdir()
    paths = [models / f"{name}.gguf" for name in ("first", "second")]
    for path in paths:
        path.write_bytes(tiny_model("llama-tiny").read_bytes())
    with pooled(home.folder, *map(str, paths), **home.environment()) as running:
        yield running


@pytest.fixture
def repo(hub: FakeHub, home: Home, tiny_model: Model) -> Iterator[bytes]:
    """A quant of 25 MB that loads; its bytes."""
    data = padded(tiny_model("llama-tiny"), 24 * MIB, "served")
    hub.add_repo(REPO, {NAME: data}, licence="apache-2.0")
    yield data
    hub.faults.clear()
    shutil.rmtree(home.hub_cache, ignore_errors=True)


def asked(server: Pooled, path: str, **query: str | int) -> Json:
    answer: Json = server.admin.get(f"{LIBRARY}/{path}", params=query).raise_for_status().json()
    return answer


def began(server: Pooled, kind: str, **body: Any) -> Json:
    answer = server.admin.post(f"{LIBRARY}/{kind}", json=body)
    assert answer.status_code == 202, answer.text
    job: Json = answer.json()
    return job


def events(server: Pooled, kind: str, job: Json) -> Iterator[Json]:
    with server.admin.stream("GET", f"{LIBRARY}/{kind}/{job['id']}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


def names(server: Pooled) -> dict[str, Json]:
    return {each["name"]: each for each in asked(server, "local")["data"]}


def test_a_pull_is_watched_verified_served_and_deleted(server: Pooled, hub: FakeHub, repo: bytes) -> None:
    hub.faults.add(Slow(4e6), skip=1, times=None)  # the first is for the header
    job = began(server, "pulls", spec=SPEC)
    assert began(server, "pulls", spec=SPEC)["id"] == job["id"]  # while it has not ended
    told = list(events(server, "pulls", job))
    last, fetching = told[-1], [each for each in told if each["files"] and each["files"][0]["state"] == "fetching"]
    assert (last["state"], last["error"], last["done"], last["size"]) == ("done", "", len(repo), len(repo))
    assert [each["done"] for each in fetching] == sorted(each["done"] for each in fetching) and len(fetching) >= 2
    assert any("On this machine" in note for note in last["notes"])
    assert Path(last["result"]["path"]).read_bytes() == repo
    assert list(events(server, "pulls", job)) == [last]  # for who comes later
    assert names(server)[SPEC]["bytes"] == len(repo)

    check = began(server, "verify", names=[SPEC])
    checked = list(events(server, "verify", check))[-1]
    assert (checked["state"], checked["done"], checked["files"][0]["state"]) == ("done", len(repo), "reading")
    assert [(each["name"], each["state"]) for each in checked["result"]["data"]] == [(SPEC, "right")]

    added = server.admin.post("/ggufrun/v1/models", json={"spec": last["result"]["name"]})
    assert (added.status_code, added.json()["state"]) == (201, "unloaded"), added.text
    name = added.json()["name"]
    assert server.chat(name).status_code == 200
    twice = server.admin.post("/ggufrun/v1/models", json={"spec": SPEC})
    assert twice.status_code == 400 and name in twice.json()["message"]

    kept = server.admin.delete(f"{LIBRARY}/local/{SPEC}")
    assert kept.status_code == 400 and "served" in kept.json()["message"]
    gone = server.admin.delete(f"/ggufrun/v1/models/{name}")
    assert (gone.status_code, gone.json()["state"], server.workers()) == (200, "unloaded", 0)
    assert server.chat(name).json()["code"] == "1500"
    removed = server.admin.delete(f"{LIBRARY}/local/{SPEC}").json()
    assert removed["name"] == SPEC and removed["freed_bytes"] >= len(repo) and SPEC not in names(server)


def test_a_pull_that_is_stopped_keeps_what_came_and_goes_on(server: Pooled, hub: FakeHub, repo: bytes) -> None:
    hub.faults.add(Slow(1e5), times=None)
    job = began(server, "pulls", spec=SPEC)
    waiting = began(server, "pulls", spec="owner/other:Q8_0")
    assert waiting["state"] == "waiting"  # one after the other
    stopped = server.admin.delete(f"{LIBRARY}/pulls/{waiting['id']}").json()
    assert stopped["state"] == "stopped"
    for told in events(server, "pulls", job):
        if told["files"] and told["done"] >= MIB:
            server.admin.delete(f"{LIBRARY}/pulls/{job['id']}")
    assert told["state"] == "stopped" and not told["result"]
    partial = names(server)[SPEC]["partial"]
    assert partial["of"] == len(repo) and partial["bytes"] >= MIB
    listed = asked(server, "pulls")["data"]
    assert [each["id"] for each in listed[:2]] == [waiting["id"], job["id"]]

    hub.faults.clear()
    before = hub.sent(NAME)
    assert list(events(server, "pulls", began(server, "pulls", spec=REPO)))[-1]["state"] == "done"
    assert hub.sent(NAME) - before < len(repo)


def test_a_pull_that_fails_says_why(server: Pooled, hub: FakeHub, repo: bytes) -> None:
    last = list(events(server, "pulls", began(server, "pulls", spec="owner/nothing")))[-1]
    assert last["state"] == "failed" and "owner/nothing" in last["error"]
    hub.add_repo(REPO, {NAME: b"GGUF that is none" * 100})
    last = list(events(server, "pulls", began(server, "pulls", spec=SPEC, mmproj=False)))[-1]
    assert last["state"] == "done" and any("No plan for this machine" in note for note in last["notes"])
    last = list(events(server, "verify", began(server, "verify", names=[SPEC])))[-1]
    (verdict,) = last["result"]["data"]
    assert (last["state"], verdict["state"]) == ("done", "wrong") and NAME in verdict["says"] and verdict["hint"]


def test_what_fits(server: Pooled, repo: bytes) -> None:
    shown = asked(server, "show", spec=REPO)
    assert (shown["repo"], shown["licence"], shown["best"]) == (REPO, "apache-2.0", "Q4_K_M")
    (quant,) = shown["quants"]
    assert (quant["name"], quant["bytes"], quant["verdict"], quant["here"]) == ("Q4_K_M", len(repo), "fits", False)
    fit = asked(server, "fit", spec=SPEC, context=512, kv_type="f16", gpu="none", ram="8GiB")
    assert (fit["context"], fit["kv_type"], fit["verdict"]) == (512, "f16", "fits")
    assert fit["devices"][0]["kv_bytes"] > 0 and fit["why"] and fit["options"].startswith("--context 512")
    assert asked(server, "fit", spec="first", context=64)["model"] == "first"
    machine = asked(server, "machine")
    assert machine["ram"]["total_bytes"] > machine["ram"]["free_bytes"] > 0
    assert machine["disk"]["free_bytes"] > 0 and machine["disk"]["folder"].endswith("hub")
    assert machine["measures"] is True


def test_what_is_known_and_what_the_hub_has(server: Pooled, repo: bytes) -> None:
    found = asked(server, "search", q="tiny")["data"]
    assert [(each["repo"], each["card"]) for each in found] == [(REPO, None)]
    assert "ministral-3-8b" in {each["name"] for each in asked(server, "cards")["data"]}
    missing = server.admin.get(f"{LIBRARY}/show", params={"spec": "owner/nothing"})
    assert missing.status_code == 404 and "owner/nothing" in missing.json()["message"]
    quant = server.admin.get(f"{LIBRARY}/show", params={"spec": f"{REPO}:Q9"})
    assert quant.status_code == 404 and "Q4_K_M" in quant.json()["message"]


def test_who_may(server: Pooled) -> None:
    for method, path in (("GET", "local"), ("POST", "pulls"), ("DELETE", "local/first")):
        refused = server.client.request(method, f"{LIBRARY}/{path}", json={"spec": SPEC})
        assert refused.status_code == 401 and "admin" in refused.json()["message"], path
    unknown = server.admin.get(f"{LIBRARY}/pulls/nothing/events")
    assert unknown.status_code == 404 and "'nothing'" in unknown.json()["message"]


def test_the_server_ends_with_a_pull_under_way(home: Home, hub: FakeHub, repo: bytes, tiny_model: Model) -> None:
    hub.faults.add(Slow(1e5), times=None)
    with pooled(home.folder / "other", str(tiny_model("llama-tiny")), "--ttl", "1h", **home.environment()) as running:
        job = began(running, "pulls", spec=SPEC)
        for told in events(running, "pulls", job):
            if told["files"] and running.process.poll() is None:
                running.process.terminate()
        assert told["state"] == "stopped"  # who watches it sees its end
        assert running.process.wait(60) == 0
        assert "Traceback" not in "".join(running.log)
