"""Comparisons over HTTP: begun, watched, stopped, kept as reports, and ended with the server."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.api.pooled import Pooled, pooled

pytestmark = pytest.mark.process

Json = dict[str, Any]
COMPARE = "/ggufrun/v1/compare"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, tiny_model: Callable[[str], Path]) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    kinds = {"alpha": "llama-tiny", "twin": "llama-tiny", "other": "spm-mistral-v3"}
    return {name: str(shutil.copy(tiny_model(kind), folder / f"{name}.gguf")) for name, kind in kinds.items()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, models: dict[str, str]) -> Iterator[Pooled]:
    """With two models, so that none is loaded at the start."""
    home = tmp_path_factory.mktemp("home")
    with pooled(home, models["alpha"], models["other"]) as running:
        yield running


def begun(server: Pooled, *models: str, **more: Any) -> httpx.Response:
    return server.admin.post(COMPARE, json={"models": models, "mode": "quick", **more})


def events(server: Pooled, run: Json) -> Iterator[Json]:
    with server.admin.stream("GET", f"{COMPARE}/{run['id']}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))


def got(server: Pooled, path: str = "") -> Json:
    found: Json = server.admin.get(f"{COMPARE}{path}").raise_for_status().json()
    return found


@pytest.mark.slow  # whole comparisons are tests/compare/run's; here it is what HTTP makes of one
def test_a_comparison_is_stopped_goes_on_and_is_a_report(server: Pooled, models: dict[str, str]) -> None:
    wanted = (models["alpha"], models["twin"])
    answer = begun(server, *wanted)
    assert answer.status_code == 202, answer.text
    run = answer.json()
    assert (run["models"], run["mode"], run["report"]) == (list(wanted), "quick", None)
    assert begun(server, *wanted).json()["id"] == run["id"]  # while it has not ended
    for told in events(server, run):
        if "(again)" in told["row"] and told["state"] == "running":  # there is something to keep
            server.admin.delete(f"{COMPARE}/{run['id']}").raise_for_status()
    assert told["state"] == "stopped"
    stopped = got(server, f"/{told['report']}")["report"]
    assert stopped["unfinished"] and server.workers() == 0  # no process of it goes on

    all_told = list(events(server, begun(server, *wanted).json()))
    last = all_told[-1]
    assert (last["state"], last["error"], last["done"], last["left_s"]) == ("done", "", 1.0, 0.0)
    assert [each["done"] for each in all_told] == sorted(each["done"] for each in all_told)
    found = got(server, f"/{last['id']}")
    assert found["run"]["report"] == last["report"] and found["report"] == got(server, f"/{last['report']}")["report"]
    rows = {row["name"]: row for row in found["report"]["rows"]}
    assert rows["twin"]["kld_mean"] == pytest.approx(0, abs=1e-9) and rows["twin"]["tg_tok_s"] > 0
    listed = got(server)
    assert [each["id"] for each in listed["data"]] == [last["report"], stopped_id(listed)]
    assert [each["unfinished"] for each in listed["data"]] == [False, True]
    assert [each["state"] for each in listed["runs"]] == ["done", "stopped"]
    assert listed["data"][0]["title"] == found["report"]["title"]
    over = server.admin.delete(f"{COMPARE}/{last['id']}").raise_for_status().json()
    assert over["run"]["state"] == "done"  # to stop what has just ended deletes nothing
    server.admin.delete(f"{COMPARE}/{last['report']}").raise_for_status()
    found = got(server, f"/{last['id']}")
    assert (found["run"]["report"], found["report"]) == (last["report"], None)


def stopped_id(listed: Json) -> str:
    return next(str(each["report"]) for each in listed["runs"] if each["state"] == "stopped")


def test_what_cannot_be_compared(server: Pooled, models: dict[str, str]) -> None:
    for wanted, status, says in (
        ((models["alpha"], models["other"]), 400, "different kinds of tokenizer"),
        ((models["alpha"],), 400, "nothing to compare it with"),
        ((models["alpha"], "nothing-here"), 404, "nothing-here"),
        ((), 422, "models"),
    ):
        refused = begun(server, *wanted)
        assert refused.status_code == status and says in refused.text, (wanted, refused.text)
    assert begun(server, models["alpha"], models["twin"], mode="slow").status_code == 422
    assert begun(server, models["alpha"], models["twin"], tasks=["chess"]).status_code == 422
    nowhere = begun(server, models["alpha"], models["twin"], gpu="a big one")
    assert nowhere.status_code == 400 and "--gpu" in nowhere.text
    short = begun(server, models["alpha"], models["twin"], text="Too short.")
    last = short.json() if short.status_code != 202 else list(events(server, short.json()))[-1]
    assert "oken" in (last.get("error") or last["message"])


def test_one_after_the_other(server: Pooled, models: dict[str, str]) -> None:
    """Both are stopped before anything is measured, so that there is nothing to keep."""
    before = got(server)["data"]
    wanted = (models["alpha"], models["twin"])
    first, second = (begun(server, *wanted, mode="default", kv_types=[kv]).json() for kv in ("f16", "q8_0"))
    assert got(server, f"/{second['id']}")["run"]["state"] == "waiting"
    for run in (second, first):
        server.admin.delete(f"{COMPARE}/{run['id']}").raise_for_status()
        last = list(events(server, run))[-1]
        assert (last["state"], last["report"]) == ("stopped", None)
    assert got(server)["data"] == before


def test_what_is_measured_ends_with_the_server(tmp_path: Path, models: dict[str, str]) -> None:
    with pooled(tmp_path, models["alpha"], models["other"]) as server:
        run = begun(server, models["alpha"], models["twin"], mode="default").json()
        assert any(told["doing"] == "scoring the text" for told in events(server, run))
        children = psutil.Process(server.process.pid).children(recursive=True)
        server.process.terminate()
        _, alive = psutil.wait_procs(children, timeout=60)
        server.process.wait(60)
        assert not alive and "Traceback" not in "".join(server.log)


def test_a_disk_that_is_full_is_named(tmp_path: Path, models: dict[str, str]) -> None:
    (tmp_path / "compare").write_text("No folder can be made here.")
    with pooled(tmp_path, models["alpha"], models["other"], XDG_CACHE_HOME=str(tmp_path / "compare")) as server:
        last = list(events(server, begun(server, models["alpha"], models["twin"]).json()))[-1]
        assert last["state"] == "failed" and "Make room, or check the rights" in last["error"]


def test_who_may(server: Pooled) -> None:
    for method, path in (("GET", ""), ("POST", ""), ("GET", "/x"), ("GET", "/x/report.html"), ("DELETE", "/x")):
        refused = server.client.request(method, f"{COMPARE}{path}", json={"models": ["a"]})
        assert refused.status_code == 401 and "admin" in refused.json()["message"], path
    for method, path in (("GET", "/x/events"), ("DELETE", "/x"), ("GET", "/x")):
        unknown = server.admin.request(method, f"{COMPARE}{path}")
        assert unknown.status_code == 404 and "'x'" in unknown.json()["message"], path
