"""Thinking through llama-server: the demo model has a template that opens a thought, and a budget that closes it

No reasoning model is small enough for tests, and what the words are worth does not matter here.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from benchmarks.servers import free_port
from tests.remote.engine_suite import CAPITAL, FORMAT, MODEL, Engine, asked, settings
from tests.remote.front import CITY, Front, front, program, user
from tests.remote.test_llama_server import KEY, command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

BUDGET = 4  # tokens of a thought
TEMPLATE = """
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- set thought = message.reasoning_content or message.reasoning %}
{%- if message.role == 'assistant' and thought %}
{{- '<think>\\n' + thought + '\\n</think>\\n\\n' }}
{%- endif %}
{{- message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n<think>\\n' }}
{%- endif %}
"""


@pytest.fixture(scope="module")
def engine(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    folder = tmp_path_factory.mktemp("thinking")
    (folder / "thinking.jinja").write_text(TEMPLATE, encoding="utf-8")
    more = ["--chat-template-file", str(folder / "thinking.jinja"), "--reasoning-budget", str(BUDGET)]
    with program([*command(demo_path, port, folder), *more], folder / "log", f"{address}/health"):
        yield Engine(address, demo_path.name, KEY, "")


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with front(tmp_path_factory.mktemp("front"), settings=settings(engine), TEST_ENGINE_KEY=KEY) as running:
        yield running


def thought_of(message: Any) -> str:
    return str(message.model_extra["reasoning_content"])


def test_a_thought_and_its_answer_are_the_engines(server: Front, engine: Engine) -> None:
    directly = asked(engine.openai(), engine.name, CAPITAL, max_tokens=20).choices[0].message
    reply = asked(server.openai(), MODEL, CAPITAL, max_tokens=20)
    through = reply.choices[0].message
    assert directly.content and thought_of(directly)
    assert (through.content, thought_of(through)) == (directly.content, thought_of(directly))
    assert reply.usage.completion_tokens > BUDGET
    thinking, text = (
        server.mistral()
        .chat.complete(model=MODEL, messages=CAPITAL, max_tokens=20, temperature=0)
        .choices[0]
        .message.content
    )
    assert (thinking.thinking[0].text, text.text) == (thought_of(directly), directly.content)


def test_streamed_the_thought_comes_first_and_is_closed(server: Front, engine: Engine) -> None:
    whole = asked(engine.openai(), engine.name, CAPITAL, max_tokens=20).choices[0].message
    deltas = [
        chunk.choices[0].delta
        for chunk in asked(server.openai(), MODEL, CAPITAL, max_tokens=20, stream=True)
        if chunk.choices
    ]
    kinds = [
        "thought" if (delta.model_extra or {}).get("reasoning_content") else "text"
        for delta in deltas
        if delta.content or (delta.model_extra or {}).get("reasoning_content")
    ]
    assert kinds == sorted(kinds, reverse=True) and len(set(kinds)) == 2
    assert "".join((delta.model_extra or {}).get("reasoning_content") or "" for delta in deltas) == thought_of(whole)
    assert "".join(delta.content or "" for delta in deltas) == whole.content
    parts = [
        part
        for event in server.mistral().chat.stream(model=MODEL, messages=CAPITAL, max_tokens=20, temperature=0)
        if not isinstance(content := event.data.choices[0].delta.content, str)
        for part in content or ()
    ]
    closed = [part.closed for part in parts if part.type == "thinking"]
    assert closed.count(True) == 1 and closed[-1]  # Mistral's clients are told where it ends


def test_one_that_is_cut_in_its_thought_has_no_text(server: Front) -> None:
    choice = asked(server.openai(), MODEL, CAPITAL, max_tokens=2).choices[0]
    assert choice.finish_reason == "length" and not choice.message.content and thought_of(choice.message)


def test_json_comes_behind_the_thought(server: Front) -> None:
    message = asked(server.openai(), MODEL, CAPITAL, max_tokens=60, response_format=FORMAT).choices[0].message
    jsonschema.validate(json.loads(message.content), CITY)
    assert thought_of(message) and "{" not in thought_of(message)


@pytest.mark.parametrize("dialect", ["openai", "mistral"])
def test_an_earlier_thought_is_given_back(server: Front, dialect: str) -> None:
    """The engine reads it: the prompt is longer by its tokens."""
    thought, text = "one two three four five six", "Hello."
    chunks = [
        {"type": "thinking", "thinking": [{"type": "text", "text": thought}]},
        {"type": "text", "text": text},
    ]
    said = {"content": text, "reasoning_content": thought} if dialect == "openai" else {"content": chunks}
    counts = []
    for earlier in ({"content": text}, said):
        messages = [*user("Hi"), {"role": "assistant", **earlier}, *CAPITAL]
        reply = server.post(model=MODEL, messages=messages, max_tokens=2, temperature=0)
        assert reply.status_code == 200, reply.text
        counts.append(reply.json()["usage"]["prompt_tokens"])
    assert counts[1] - counts[0] >= 6 + 2  # and the tags
