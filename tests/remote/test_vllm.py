"""vLLM behind `ggufrun serve`, with the demo model dequantized: where `tests.remote.vllm_environment` has made both"""

import signal
from collections.abc import Iterator

import pytest

from benchmarks.servers import free_port
from tests.conftest import CACHE
from tests.remote import vllm_environment as vllm
from tests.remote.engine_suite import CAPITAL, MODEL, Engine, EngineSuite, asked, dies_mid_stream, settings
from tests.remote.front import Front, front, program

START_S = 420.0  # beside others on two cores; alone half a minute
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    if why := vllm.missing(CACHE):
        pytest.skip(why)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = tmp_path_factory.mktemp("vllm") / "log"
    with program(vllm.command(CACHE, port), log, f"{address}/health", START_S, **vllm.ENVIRONMENT) as process:
        running = Engine(address, vllm.NAME, vllm.KEY, r"vllm:num_requests_running")
        running.kill = lambda: process.send_signal(signal.SIGKILL)
        yield running


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    home = tmp_path_factory.mktemp("front")
    with front(home, settings=settings(engine), TEST_ENGINE_KEY=vllm.KEY) as running:
        yield running


class TestVllm(EngineSuite):
    """See there."""

    def test_what_only_it_can_be_told(self, engine: Engine, server: Front) -> None:
        answer = asked(server.openai(), MODEL, CAPITAL, max_tokens=30, extra_body={"min_tokens": 20, "top_k": 40})
        assert answer.usage.completion_tokens >= 20, "by itself it ends after eight"
        pattern = {"type": "regex", "source": "(Paris|Rome)!"}
        chosen = server.post(model=MODEL, messages=CAPITAL, max_tokens=12, temperature=0, response_format=pattern)
        assert chosen.json()["choices"][0]["message"]["content"] in ("Paris!", "Rome!"), chosen.text

    def test_its_beginning_is_given(self, engine: Engine, server: Front) -> None:
        begun = [*CAPITAL, {"role": "assistant", "content": "The capital of", "prefix": True}]
        answer = server.mistral().chat.complete(model=MODEL, messages=begun, max_tokens=8, temperature=0)
        assert str(answer.choices[0].message.content).startswith("The capital of France")

    def test_zz_it_is_killed(self, engine: Engine, server: Front) -> None:
        """The last one: another start would take as long as all of these. That an engine may come back is
        test_llama_server's."""
        dies_mid_stream(server, engine.kill)
        server.never_said(vllm.KEY)
