"""Routes of a real `ggufrun serve` over engines that disagree: a model of random weights, which is sure of nothing, and
the demo model."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.api.pooled import Pooled, command, pooled, states

pytestmark = pytest.mark.model

SETTINGS = """
[defaults]
max_tokens = 24
temperature = 0

[models.small]
context = {context}
parallel = 1
max_queue = 2

[routes."mistral-medium-3.5"]
engines = ["small", "hosted"]
escalate = {{ min_logprob = -2 }}

[routes.sure]
engines = ["hosted", "small"]
escalate = {{ min_logprob = -3 }}

[routes.json]
engines = ["small", "hosted"]
escalate = {{ json = true }}

[routes.tools]
engines = ["small", "other"]
escalate = {{ tools = true, header = true }}

[routes.plain]
engines = ["small", "hosted"]
"""
DIGITS = {  # which no grammar holds to the end: the digits must differ
    "type": "array",
    "items": {"type": "integer", "minimum": 1, "maximum": 9},
    "minItems": 8,
    "maxItems": 8,
    "uniqueItems": True,
}
COUNT = "Count from 1 to 8. Answer with exactly this list: [1, 2, 3, 4, 5, 6, 7, 8]"
NOTE = {"type": "function", "function": {"name": "note", "parameters": {
    "type": "object", "properties": {"digits": DIGITS}, "required": ["digits"], "additionalProperties": False,
}}}  # fmt: skip


def engines(tiny_model: Callable[[str], Path], demo: Path, home: Path, context: int) -> list[str]:
    (home / "ggufrun.toml").write_text(SETTINGS.format(context=context))
    return [f"small={tiny_model('mistral3-v13')}", f"other={tiny_model('mistral3-v15')}", f"hosted={demo}"]


@pytest.fixture(scope="module")
def server(
    tiny_model: Callable[[str], Path], demo_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pooled]:
    home = tmp_path_factory.mktemp("routes")
    with pooled(home, *engines(tiny_model, demo_path, home, 256)) as running:
        yield running


def why(reply: httpx.Response) -> tuple[str, str]:
    assert reply.status_code == 200, reply.text
    said = reply.json()["ggufrun"]
    assert (reply.headers["x-ggufrun-engine"], reply.headers["x-ggufrun-why"]) == (said["engine"], said["why"])
    return said["engine"], said["why"]


def test_a_model_that_is_sure_of_nothing_hands_over(server: Pooled) -> None:
    reply = server.chat("mistral-medium-3.5", max_tokens=12)
    engine, reason = why(reply)
    assert engine == "hosted" and reason.startswith("escalated: mean log-probability -")
    alone = server.chat("hosted", max_tokens=12)
    assert reply.json()["choices"][0]["message"] == alone.json()["choices"][0]["message"]
    assert reply.json()["choices"][0]["logprobs"] is None
    assert reply.json()["usage"]["completion_tokens"] == alone.json()["usage"]["completion_tokens"]


def test_a_model_that_is_sure_is_taken_at_its_word(server: Pooled) -> None:
    assert why(server.chat("sure", max_tokens=12)) == ("hosted", "first")


def test_forced_tokens_do_not_hide_the_doubt(server: Pooled) -> None:
    """Nearly all of the answer is forced by the schema, and what is not the random model does not know."""
    constant = "a long text that leaves no choice at all and goes on and on"
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"x": {"const": constant}, "n": {"enum": list(range(10, 99))}},
    }
    schema |= {"required": ["x", "n"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    reply = server.chat("mistral-medium-3.5", max_tokens=60, response_format=form)
    assert why(reply)[1].startswith("escalated: mean log-probability -")
    assert json.loads(reply.json()["choices"][0]["message"]["content"])["x"] == constant


def test_json_that_breaks_its_schema_hands_over(server: Pooled) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": DIGITS, "strict": False}}
    messages = [{"role": "user", "content": COUNT}]
    reply = server.chat("json", messages=messages, max_tokens=60, response_format=form)
    assert why(reply) == ("hosted", "escalated: its JSON breaks the schema")


def test_a_tool_call_that_is_refused_hands_over(server: Pooled) -> None:
    reply = server.chat("tools", tools=[NOTE], tool_choice="any", max_tokens=100)
    assert why(reply) == ("other", "escalated: its arguments for note break the schema")
    assert reply.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "note"


def test_a_client_hands_over(server: Pooled) -> None:
    body = {"model": "tools", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    reply = server.client.post("/v1/chat/completions", json=body, headers={"x-ggufrun-escalate": "1"})
    assert why(reply) == ("other", "escalated: the client asks for it")
    assert why(server.chat("tools")) == ("small", "first")


def test_what_one_cannot_do_another_does(server: Pooled) -> None:
    long = [{"role": "user", "content": "word " * 400}]
    assert why(server.chat("plain", messages=long)) == ("hosted", "fallback: small has too small a context")
    assert why(server.chat("plain", n=4)) == ("hosted", "fallback: small makes fewer answers at once")
    assert why(server.chat("plain")) == ("small", "first")


def test_what_is_wrong_with_a_request_is_nobody_s(server: Pooled) -> None:
    reply = server.chat("plain", response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": 7}})
    assert reply.status_code == 422 and "route" not in reply.json()["message"]


def test_usage_knows_the_engines(server: Pooled) -> None:
    server.chat("plain")
    server.chat("hosted")

    def names() -> set[str]:
        report = json.loads(server.ggufrun("usage", "--by", "engine", "--json").stdout)
        return {row["name"] for row in report["rows"]}

    server.until(lambda: {"small", "hosted"} <= names())
    newest = server.admin.get("/ggufrun/v1/calls").json()["data"][0]
    assert newest["engine"] == "" and newest["model"] == "hosted" and newest["spent_usd"] == 0


def test_one_place_for_both_and_an_engine_that_is_killed(
    tiny_model: Callable[[str], Path], demo_path: Path, tmp_path: Path
) -> None:
    """A route holds no place: with --max-loaded 1 its engines come one after the other."""
    with pooled(tmp_path, *engines(tiny_model, demo_path, tmp_path, 4096), "--max-loaded", "1") as server:
        assert why(server.chat("mistral-medium-3.5", max_tokens=12))[0] == "hosted"
        now = states(server.ggufrun("ps", "--json"))
        assert (now["small"], now["hosted"], now["mistral-medium-3.5"]) == ("unloaded", "ready", "ready")
        killed: list[int] = []

        def kill() -> bool:
            """Its worker, in the middle of the answer that the route holds."""
            if server.model("small")["state"] != "ready":
                return False
            workers = psutil.Process(server.process.pid).children()
            killed.extend(each.pid for each in workers if "ggufrun.engine.worker" in " ".join(each.cmdline()))
            psutil.Process(killed[0]).kill()
            return True

        with asking(server, "mistral-medium-3.5", max_tokens=3500) as answer:
            server.until(kill)
            assert why(answer()) == ("hosted", "fallback: small is down")
        assert len(killed) == 1


@contextmanager
def asking(server: Pooled, model: str, **body: Any) -> Iterator[Callable[[], httpx.Response]]:
    """A request that is under way; called, its reply."""
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(server.chat, model, **body)
        yield lambda: future.result(60)


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ('engines = ["smal"]', "no model, remote or route is called 'smal'. Did you mean 'small'?"),
        ('engines = ["r2"]\n[routes.r2]\nengines = ["r"]', "The routes go in a circle: r -> r2 -> r."),
        ('engines = ["small"]\n[routes.Small]\nengines = ["r"]', "small answers to that name already."),
    ],
)
def test_routes_that_cannot_be_are_found_at_start(
    tiny_model: Callable[[str], Path], tmp_path: Path, route: str, said: str
) -> None:
    (tmp_path / "ggufrun.toml").write_text(f"[routes.r]\n{route}\n")
    done = command(tmp_path, "serve", f"small={tiny_model('llama-tiny')}", "--port", "0", "--no-ui")
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr
