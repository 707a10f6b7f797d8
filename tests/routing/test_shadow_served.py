"""A real server whose routes have shadows: real calls do not wait for them, and what they found outlives a kill."""

import csv
import io
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.pooled import Pooled, command, pooled

pytestmark = pytest.mark.process
ROUTES = """
[routes.disagree]
engines = ["real"]
shadow = { engine = "odd", share = 1.0 }

[routes."the.same"]
engines = ["real"]
[routes."the.same".shadow]
engine = "twin"
share = 1.0
"""
SHADOW = "/ggufrun/v1/shadow"


@pytest.fixture
def server(tiny_model: Callable[[str], Path], tmp_path: Path) -> Iterator[Pooled]:
    """One model is loaded at a time, so a shadow's has no room while the real one is loaded."""
    kinds = {"real": "llama-tiny", "twin": "llama-tiny", "odd": "spm-mistral-v3"}
    for name, kind in kinds.items():
        (tmp_path / f"{name}.gguf").symlink_to(tiny_model(kind))
    home = tmp_path / "home"
    home.mkdir()
    (home / "ggufrun.toml").write_text(ROUTES)
    files = [f"{name}={tmp_path / name}.gguf" for name in kinds]
    with pooled(home, *files, "--max-loaded", "1") as running:
        yield running


def _waiting(server: Pooled) -> dict[str, int]:
    running = server.admin.get(SHADOW).raise_for_status().json()["running"]
    return {each["route"]: each["waiting"] for each in running}


def _report(home: Path, *arguments: str) -> list[dict[str, Any]]:
    done = command(home, "shadow", "report", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["data"]
    return found


def _make_room(server: Pooled) -> None:
    """What waits is answered then: by one shadow's model after the other, in the same place."""
    server.admin.post("/ggufrun/v1/models/real/unload").raise_for_status()
    server.until(lambda: not any(_waiting(server).values()))


def test_real_calls_do_not_wait_and_nothing_that_was_found_is_lost(server: Pooled) -> None:
    none = command(server.home, "shadow", "report")
    assert none.returncode == 0 and "No shadow answers are kept yet" in none.stdout
    for route in ("disagree", "the.same"):
        for number in range(3):
            messages = [{"role": "user", "content": f"Say {number} [31mor"}]
            reply = server.chat(route, messages=messages, temperature=0, max_tokens=12)
            assert reply.status_code == 200 and reply.headers["x-ggufrun-engine"] == "real"
    assert _waiting(server) == {"disagree": 3, "the.same": 3}  # all are answered, and no shadow has had room
    _make_room(server)

    same, other = sorted(_report(server.home), key=lambda each: -each["agreed"])
    assert (same["route"], same["compared"], same["agreed"], same["share"]) == ("the.same", 3, 3, 1.0)
    assert (other["route"], other["compared"], other["agreed"], other["failed"]) == ("disagree", 3, 0, 0)
    assert other["shadow"]["completion_tokens"] > 0 and other["shadow"]["total_s"] > 0 and other["sampled"] == 0
    _looked_at(server)
    _spent(server)

    reply = server.chat("disagree", temperature=0)  # its shadow waits again
    assert reply.status_code == 200 and _waiting(server)["disagree"] == 1
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(60)
    assert sum(each["compared"] for each in _report(server.home)) == 6
    cleared = command(server.home, "shadow", "clear", "disagree")
    assert cleared.returncode == 0 and "3 pairs of answers of disagree are forgotten" in cleared.stderr
    assert [each["route"] for each in _report(server.home)] == ["the.same"]


def _looked_at(server: Pooled) -> None:
    """By people and by programs."""
    told = command(server.home, "shadow", "report", "--show", "1").stdout
    assert "real beside its shadow odd" in told and "0 of 3 answers agree: 0 %" in told and "[-" in told
    assert "Say 2" in told and "\x1b" not in told
    (row,) = csv.DictReader(io.StringIO(command(server.home, "shadow", "report", "the.same", "--csv").stdout))
    assert (row["agreed"], row["real_engine"], row["shadow_engine"]) == ("3", "real", "twin")
    assert _report(server.home, "--since", "2999-01-01") == []
    wrong = command(server.home, "shadow", "report", "--show", "-1")
    assert wrong.returncode == 2 and "--show cannot be -1" in wrong.stderr


def _spent(server: Pooled) -> None:
    """Shadow answers are calls of their own, of nobody's key, and save nothing."""
    calls = server.admin.get("/ggufrun/v1/calls", params={"limit": 1000}).raise_for_status().json()["data"]
    shadows = [call for call in calls if call["endpoint"] == "shadow"]
    models = [call["model"] for call in sorted(shadows, key=lambda call: str(call["time"]))]
    assert models in (["odd"] * 3 + ["twin"] * 3, ["twin"] * 3 + ["odd"] * 3)  # all that waits for one, then the other
    assert all(call["key"] == "(shadow)" and call["usd"] is None and call["status"] == 200 for call in shadows)
    assert all(call["prompt_tokens"] > 0 and call["completion_tokens"] > 0 for call in shadows)
