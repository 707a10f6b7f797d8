"""Thinking through vLLM: the demo model has a template that opens a thought, and a pattern that closes it again

vLLM's reader of thoughts that are told by their text is Olmo's; others want tokens that this model does not have.
"""

from collections.abc import Iterator

import pytest

from benchmarks.servers import free_port
from tests.conftest import CACHE
from tests.remote import vllm_environment as vllm
from tests.remote.engine_suite import CAPITAL, MODEL, Engine, asked, settings
from tests.remote.front import Front, front, program, user
from tests.remote.test_llama_server_thinking import TEMPLATE, thought_of
from tests.remote.test_vllm import START_S

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SAID = {"type": "regex", "source": "It is Rome\\. No\\.</think>It is (Paris|Rome)!"}
THINKS = ["--reasoning-parser", "olmo3", "--structured-outputs-config", '{"enable_in_reasoning": true}']


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if why := vllm.missing(CACHE):
        pytest.skip(why)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    folder = tmp_path_factory.mktemp("vllm")
    (folder / "thinking.jinja").write_text(TEMPLATE, encoding="utf-8")
    command = [*vllm.command(CACHE, port), *THINKS, "--chat-template", str(folder / "thinking.jinja")]
    with program(command, folder / "log", f"{address}/health", START_S, **vllm.ENVIRONMENT):
        yield Engine(address, vllm.NAME, vllm.KEY, "")


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    home = tmp_path_factory.mktemp("front")
    with front(home, settings=settings(engine), TEST_ENGINE_KEY=vllm.KEY) as running:
        yield running


def test_a_thought_and_its_answer(server: Front) -> None:
    more = {"max_tokens": 40, "extra_body": {"response_format": SAID}}
    message = asked(server.openai(), MODEL, CAPITAL, **more).choices[0].message
    assert thought_of(message) == "It is Rome. No." and message.content in ("It is Paris!", "It is Rome!")
    streamed = asked(server.openai(), MODEL, CAPITAL, stream=True, **more)
    deltas = [chunk.choices[0].delta for chunk in streamed if chunk.choices]
    thoughts = [(delta.model_extra or {}).get("reasoning_content") or "" for delta in deltas]
    texts = [delta.content or "" for delta in deltas]
    assert ("".join(thoughts), "".join(texts)) == (thought_of(message), message.content)
    assert max(at for at, each in enumerate(thoughts) if each) < min(at for at, each in enumerate(texts) if each)


def test_one_that_is_cut_in_its_thought_has_no_text(server: Front) -> None:
    choice = asked(server.openai(), MODEL, CAPITAL, max_tokens=3).choices[0]
    assert choice.finish_reason == "length" and not choice.message.content and thought_of(choice.message)


def test_an_earlier_thought_is_given_back(server: Front) -> None:
    """The engine reads it: the prompt is longer by its tokens."""
    counts = []
    for earlier in ({}, {"reasoning_content": "one two three four five six"}):
        messages = [*user("Hi"), {"role": "assistant", "content": "Hello.", **earlier}, *CAPITAL]
        reply = server.post(model=MODEL, messages=messages, max_tokens=2, temperature=0)
        assert reply.status_code == 200, reply.text
        counts.append(reply.json()["usage"]["prompt_tokens"])
    assert counts[1] - counts[0] >= 6 + 2  # and the tags
