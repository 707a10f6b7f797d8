"""What holds behind `ggufrun serve` for every real engine; a file for each gives the fixtures `engine` and `server`.

`server` has it under the name "fast". What is said is compared with what the engine says when it is asked directly.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from openai import OpenAI

from tests.remote.front import CITY, WEATHER_TOOL, Front, refused, until, user

MODEL = "fast"
CAPITAL = user("What is the capital of France?")
STORY = user("Write a long story about a dragon who learns to cook. Use many details.")
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": CITY}}


@dataclass
class Engine:
    """A remote engine. `name`: what it calls its model. `running`: of its own metrics, the sum of what matches."""

    address: str
    name: str
    key: str
    running_now: str
    metrics: str = "/metrics"
    kill: Callable[[], None] = field(default=lambda: None)

    def openai(self) -> Any:  # its TypedDicts refuse plain dicts
        return OpenAI(base_url=f"{self.address}/v1", api_key=self.key or "none", max_retries=0, timeout=300)

    def running(self) -> float:
        """Answers that it works on now, as it says itself."""
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        text = httpx.get(f"{self.address}{self.metrics}", headers=headers, timeout=30, trust_env=False)
        lines = [line for line in text.raise_for_status().text.splitlines() if re.match(self.running_now, line)]
        assert lines, text.text
        return sum(float(line.split()[-1]) for line in lines)


def asked(client: Any, model: str, messages: list[dict[str, Any]], **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=messages, **{"temperature": 0, **more})


def settings(engine: Engine, variable: str = "TEST_ENGINE_KEY") -> str:
    """Of ggufrun.toml."""
    key = f'key_env = "{variable}"\n' if engine.key else ""
    return f'[remotes.{MODEL}]\nurl = "{engine.address}/v1"\n{key}timeout = 120\n'


class EngineSuite:
    """Each test with the real engine. `before` is said ahead of what should end in a call."""

    before: tuple[dict[str, Any], ...] = ()

    def test_the_same_greedy_answer_as_asked_directly(self, engine: Engine, server: Front) -> None:
        directly = asked(engine.openai(), engine.name, CAPITAL, max_tokens=24)
        through = asked(server.openai(), MODEL, CAPITAL, max_tokens=24)
        assert through.choices[0].message.content == directly.choices[0].message.content
        assert through.choices[0].finish_reason == directly.choices[0].finish_reason
        assert through.usage.prompt_tokens == directly.usage.prompt_tokens
        assert through.usage.completion_tokens == directly.usage.completion_tokens
        assert through.model == MODEL

    def test_a_stream_is_the_same_text_and_ends_with_its_usage(self, engine: Engine, server: Front) -> None:
        whole = asked(server.openai(), MODEL, CAPITAL, max_tokens=24)
        events = [event.data for event in server.mistral().chat.stream(
            model=MODEL, messages=CAPITAL, max_tokens=24, temperature=0)]  # fmt: skip
        text = "".join(str(event.choices[0].delta.content or "") for event in events)
        assert text == whole.choices[0].message.content
        assert len(events) > 3, "it came at once"
        last = events[-1]
        assert last.usage is not None and last.usage.completion_tokens == whole.usage.completion_tokens
        assert last.choices[0].finish_reason == whole.choices[0].finish_reason

    def test_a_forced_call(self, engine: Engine, server: Front) -> None:
        """Mistral's word for it and OpenAI's; the arguments are what the tool's schema wants."""
        question: dict[str, Any] = {
            "messages": [*self.before, *user("What is the weather in Paris?")],
            "tools": [WEATHER_TOOL],
            "max_tokens": 120,
        }
        question["parallel_tool_calls"] = False
        first = server.mistral().chat.complete(model=MODEL, tool_choice="any", temperature=0, **question)
        second = asked(server.openai(), MODEL, tool_choice="required", **question)
        for choice in (first.choices[0], second.choices[0]):
            (call,) = choice.message.tool_calls
            assert call.function.name == "weather" and choice.finish_reason == "tool_calls"
            jsonschema.validate(json.loads(str(call.function.arguments)), CITY)

    def test_a_streamed_call_and_its_result(self, engine: Engine, server: Front) -> None:
        question = {"model": MODEL, "tools": [WEATHER_TOOL], "max_tokens": 120, "temperature": 0}
        question["parallel_tool_calls"] = False
        client, messages = server.mistral(), [*self.before, *user("What is the weather in Paris?")]
        named = {"type": "function", "function": {"name": "weather"}}
        events = [event.data.choices[0] for event in client.chat.stream(
            messages=messages, tool_choice=named, **question)]  # fmt: skip
        pieces = [call for event in events for call in event.delta.tool_calls or ()]
        arguments = "".join(str(piece.function.arguments) for piece in pieces)
        jsonschema.validate(json.loads(arguments), CITY)
        assert events[-1].finish_reason == "tool_calls"
        call = {"id": pieces[0].id, "function": {"name": "weather", "arguments": arguments}}
        told = [*messages, {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": call["id"], "name": "weather", "content": "22 degrees"}]  # fmt: skip
        answer = client.chat.complete(messages=told, **question | {"tool_choice": "none", "max_tokens": 8})
        assert answer.usage.completion_tokens

    def test_json_by_a_schema(self, engine: Engine, server: Front) -> None:
        question = user("Name a city, as JSON.")
        answer = asked(server.openai(), MODEL, question, response_format=FORMAT, max_tokens=100)
        jsonschema.validate(json.loads(answer.choices[0].message.content), CITY)
        stream = asked(server.openai(), MODEL, question, response_format=FORMAT, max_tokens=100, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        jsonschema.validate(json.loads(text), CITY)

    def test_limits_and_stops(self, engine: Engine, server: Front) -> None:
        cut = asked(server.openai(), MODEL, STORY, max_tokens=5)
        assert (cut.choices[0].finish_reason, cut.usage.completion_tokens) == ("length", 5)
        whole = asked(server.openai(), MODEL, STORY, max_tokens=24).choices[0].message.content
        word = whole.split()[3]
        stopped = asked(server.openai(), MODEL, STORY, max_tokens=24, stop=[word]).choices[0]
        assert stopped.finish_reason == "stop" and word not in stopped.message.content
        assert whole.startswith(stopped.message.content)

    def test_two_choices_and_logprobs(self, engine: Engine, server: Front) -> None:
        answer = asked(
            server.openai(), MODEL, STORY, max_tokens=6, n=2, temperature=0.9, seed=3, logprobs=True, top_logprobs=2
        )
        assert sorted(choice.index for choice in answer.choices) == [0, 1]
        for choice in answer.choices:
            tokens = choice.logprobs.content
            assert tokens and all(entry.logprob <= 0 and len(entry.top_logprobs) == 2 for entry in tokens)
            assert "".join(entry.token for entry in tokens).strip() == choice.message.content.strip()

    def test_a_prompt_that_is_too_long(self, engine: Engine, server: Front) -> None:
        refusal = server.post(model=MODEL, messages=user("word " * 20_000))
        assert refusal.status_code == 400 and refusal.json()["error"]["code"] == "context_length_exceeded", refusal.text

    def test_a_client_that_leaves_stops_the_generation(self, engine: Engine, server: Front) -> None:
        until(lambda: engine.running() == 0, "earlier answers have ended")
        body = {"model": MODEL, "messages": STORY, "stream": True, "n": 2, "temperature": 1.0, "max_tokens": 1500}
        with httpx.stream("POST", f"{server.address}/v1/chat/completions", json=body, timeout=120) as reply:
            lines = reply.iter_lines()
            until(lambda: '"content"' in next(lines), "it streams")
            assert engine.running() >= 1
        until(lambda: engine.running() == 0, "the engine was told", 30)
        until(lambda: server.active() == 0, "the server has ended it too")

    def test_what_is_wrong_is_found_at_the_start(self, engine: Engine, tmp_path: Path) -> None:
        written = settings(engine)
        cases = {
            "no model": (written + 'model = "nothing-like-it"\n', engine.key),
            "wrong path": (written.replace("/v1", "/nowhere/v1"), engine.key),
        }
        if engine.key:
            cases["wrong key"] = (written, "wrong-key-9Zb4")
        for name, (text, key) in cases.items():
            said = refused(tmp_path / name, settings=text, TEST_ENGINE_KEY=key)
            assert "remote fast" in said and "Traceback" not in said, (name, said)
            assert "wrong-key-9Zb4" not in said and (not engine.key or engine.key not in said)
            assert len(said.strip().splitlines()) <= 2, said

    def test_the_key_is_nowhere(self, engine: Engine, server: Front) -> None:
        if engine.key:
            server.never_said(engine.key)


def dies_mid_stream(server: Front, kill: Any) -> None:
    """The engine is killed while it answers; the stream ends with an error, and the next request says why at once."""
    client = server.mistral()
    reasons = []
    stream = client.chat.stream(model=MODEL, messages=STORY, temperature=1.0, max_tokens=1500)
    for number, event in enumerate(stream):
        reasons.append(event.data.choices[0].finish_reason)
        if number == 2:
            kill()
    assert reasons[-1] == "error", reasons[-3:]
    refusal = server.post(model=MODEL, messages=CAPITAL, max_tokens=4)
    assert refusal.status_code in (502, 503), refusal.text
    assert "127.0.0.1" not in refusal.text, "where the engine is, is not for those who chat"
    with pytest.raises(Exception, match="down"):
        asked(server.openai(), MODEL, CAPITAL, max_tokens=4)
