"""The ledger of a real `ggufrun serve`, killed and shared, and the prices of a user's own card."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.entries import rows, until_written
from tests.api.served import served
from tests.program import at_home, run_ggufrun

CARD = """
name = "tiny"
aliases = ["tiny-latest"]
repo = "someone/Tiny-GGUF"
files = "*llama-tiny*.gguf"
licence = "MIT"
parameters = 1_000_000
context = 2048

[price]
prompt = 1.5
completion = 7.5
"""
ASK: dict[str, Any] = {"model": "tiny-latest", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8}


def usage(home: Path, *arguments: str) -> str:
    done = run_ggufrun("usage", *arguments, environment=at_home(home))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def model(tmp_path: Path, tiny_model: Callable[[str], Path]) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tiny.toml").write_text(CARD)
    return tiny_model("llama-tiny")


def test_two_servers_one_of_them_killed(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "ggufrun.db"
    with served(model, tmp_path, "--context", "512") as one, served(model, tmp_path, "--context", "512") as two:
        whole = one.client.post("/v1/chat/completions", json=ASK)
        assert whole.status_code == 200, whole.text
        said = whole.json()["usage"]
        (call,) = until_written(path, 1)
        assert (call["prompt_tokens"], call["completion_tokens"]) == (said["prompt_tokens"], said["completion_tokens"])
        assert call["usd"] == pytest.approx(said["cost_usd"]) and said["cost_usd"] > 0
        assert float(whole.headers["x-ggufrun-cost-usd"]) == pytest.approx(said["cost_usd"], abs=1e-8)
        assert call["model"] == "tiny" and call["file"] == model.name and call["quant"] and call["ttft_s"] > 0
        streamed = two.client.post("/v1/chat/completions", json=ASK | {"stream": True})
        last = json.loads(streamed.text.split("data: ")[-2])
        assert last["usage"]["cost_usd"] > 0
        until_written(path, 2)
        assert json.loads(usage(tmp_path, "--by", "model", "--json"))["total"]["calls"] == 2
        scraped = two.client.get("/metrics").text
        assert 'ggufrun_requests_total{endpoint="/v1/chat/completions",model="tiny",status="200"} 1.0' in scraped
        assert one.client.post("/v1/chat/completions", json=ASK | {"model": "other"}).status_code == 400
        for _ in range(3):
            assert one.client.post("/v1/chat/completions", json=ASK).status_code == 200
        until_written(path, 5)  # within the second that kill -9 may cost
        one.process.kill()
        one.process.wait(60)
        assert two.client.post("/v1/chat/completions", json=ASK).status_code == 200
    found = rows(path)  # the other one has ended as it should, and written all
    assert len(found) == 6 and {call["finish_reason"] for call in found} <= {"stop", "length"}
    table = usage(tmp_path, "--by", "model").splitlines()
    assert table[-1].split()[:2] == ["total", "6"]
