"""The real program, the real demo model, a real terminal: what a person sees on the first day."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pty", reason="pseudo-terminals are POSIX")

from tests.terminal.terminal import Terminal

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]
# One thread: two of them wait for each other in spin loops when the machine is busy.
SMALL = ("--context", "1024", "--threads", "1")
STATUS = r"\d+ tokens? · [\d.]+ tok/s · TTFT [\d.]+ s · context \d+/1024 · \d+ cached"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"GGUFRUN_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def once(home: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ggufrun.cli", "run", *arguments]
    environment = {**os.environ, **home}
    return subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=120
    )


def test_a_talk_with_the_demo_model(demo_path: Path, home: dict[str, str], tmp_path: Path) -> None:
    saved = tmp_path / "talk.json"
    arguments = ["ggufrun.cli", "run", str(demo_path), *SMALL, "--max-tokens", "24", "--temperature", "0"]
    with Terminal(arguments, home) as chat:
        assert "loading" in chat.see(r"/help.*\r\n>>>", within=60)
        chat.type("Say hello.\r")
        chat.see(STATUS, within=60)
        chat.type("And again?\r")
        second = chat.see(STATUS, within=60)
        assert "· 0 cached" not in second  # the first turn is in the KV cache
        chat.type("/set temperature 0.9\r")
        chat.see("temperature = 0.9")
        chat.type("/retry\r")
        chat.see(STATUS, within=60)
        chat.type(f"/save {saved}\r")
        chat.see("Saved 4 messages")
        chat.type("/clear\r")
        chat.see("new conversation")
        chat.type(f"/load {saved}\r")
        chat.see("Loaded 4 messages")
        chat.type("/exit\r")
        assert chat.exit_code(within=30) == 0
    assert "Traceback" not in chat.raw
    assert [m["role"] for m in json.loads(saved.read_text())["messages"]] == ["user", "assistant"] * 2


def test_ctrl_c_stops_the_answer_and_the_engine_goes_on(demo_path: Path, home: dict[str, str]) -> None:
    with Terminal(["ggufrun.cli", "run", str(demo_path), *SMALL, "--temperature", "0"], home) as chat:
        chat.see(r"/help.*\r\n>>>", within=60)
        chat.type("Write a very long story about a dragon who learns to cook.\r")
        chat.see(r"cook\.\r+\n.{40}", within=60)
        chat.type("\x03")
        chat.see("stopped after", within=10)
        chat.see(">>>")
        chat.type("/set max_tokens 8\r")
        chat.see("max_tokens = 8")
        chat.type("Thanks.\r")
        chat.see(STATUS + r"[^>]*>>>", within=60)  # the worker shares the terminal's process group and survived
        chat.type("\x04")
        assert chat.exit_code(within=30) == 0
    assert "Traceback" not in chat.raw


def test_a_prompt_longer_than_the_context(demo_path: Path, home: dict[str, str]) -> None:
    done = once(home, str(demo_path), "word " * 400, "--context", "256")
    assert (done.returncode, done.stdout) == (2, "")
    assert "256" in done.stderr and done.stderr.count("\n") == 1


def test_one_answer_as_text_and_as_json(demo_path: Path, home: dict[str, str], tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"]}')
    arguments = (str(demo_path), "Give a number.", *SMALL, "--temperature", "0", "--max-tokens", "32")
    done = once(home, *arguments, "--json-schema", str(schema))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["n"] in (1, 2)
    done = once(home, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert answer["text"] and answer["finish_reason"] in ("stop", "length")
    assert answer["usage"]["completion_tokens"] <= 32 and answer["timings"]["model_steps"] > 0


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "empty"), (b"<html>not a model</html>", "GGUF"), (b"GGUF\x03\0\0\0", "")]
)
def test_files_that_are_no_model(home: dict[str, str], tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    done = once(home, str(path), "hi")
    assert (done.returncode, done.stdout) == (2, "")
    assert "bad.gguf" in done.stderr and says in done.stderr and done.stderr.count("\n") == 1


def test_names_and_places_that_do_not_exist(home: dict[str, str], tmp_path: Path) -> None:
    for model, says in (("dmeo", "demo"), (str(tmp_path), str(tmp_path)), (str(tmp_path / "no.gguf"), "no.gguf")):
        done = once(home, model, "hi")
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr and done.stderr.count("\n") == 1
