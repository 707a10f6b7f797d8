"""The whole program with a scripted model, in a process of its own: on a terminal, in pipes, and interrupted."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pty", reason="pseudo-terminals are POSIX")

from ggufrun.cli import main
from ggufrun.commandline import opening
from tests.terminal.scripted_program import open_scripted
from tests.terminal.terminal import Terminal

pytestmark = pytest.mark.process

PROGRAM = "tests.terminal.scripted_program"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"GGUFRUN_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def chat(home: dict[str, str]) -> Terminal:
    return Terminal([PROGRAM, "run", "scripted"], home)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted model for commands that run in this process, with nothing on standard input."""
    monkeypatch.setattr(opening, "open_model", open_scripted)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))


def run(home: dict[str, str], *arguments: str, stdin: bytes | None = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", PROGRAM, *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, env={**os.environ, **home}, timeout=60)


def test_a_talk(chat: Terminal, tmp_path: Path) -> None:
    with chat:
        assert "loading scripted" in chat.see("context 100 .*/help.*\r\n>>>")
        chat.type("/system\r")
        chat.see("System prompt by default: of the settings")
        chat.type("hello\r")
        chat.see(r"echo\[hello\] temperature=None.*\r\n2 tokens · .* tok/s · TTFT .* · context 15/100 · 4 cached")
        assert "\x1b[2m2 tokens" in chat.raw
        chat.type("/set temperature 0.3\r")
        chat.see("Settings: temperature = 0.3")
        chat.type("again\r")
        chat.see("temperature=0.3 seed=None n=3")
        chat.type("/retry\r")
        chat.see(r"temperature=0.3 seed=\d+ n=3")
        chat.type(f"/save {tmp_path}/talk.json\r")
        chat.see("Saved 4 messages")
        chat.type("/clear\r")
        chat.see("new conversation")
        chat.type(f"/load {tmp_path}/talk.json\r")
        chat.see("Loaded 4 messages")
        chat.type("more\r")
        chat.see("n=6")  # the system prompt of the settings was saved with the talk
        chat.type("/ex\t")
        chat.see("it")
        chat.type("\r")
        assert chat.exit_code() == 0
    history = (tmp_path / "data" / "history").read_text()
    assert "+hello" in history and "+/exit" in history


def test_ctrl_c_stops_the_answer_and_not_the_program(chat: Terminal) -> None:
    with chat:
        chat.see(">>>")
        chat.type("slow\r")
        chat.see("word3 ")
        chat.type("\x03")
        chat.see(r"stopped after \d")
        chat.see(">>>")
        chat.type("silent\r")
        chat.see("hm")
        chat.interrupt_from_outside()
        chat.see("stopped before the answer began")
        chat.see("silent")  # back on the input line
        chat.type("\x03hello\r")  # Ctrl-C clears the line
        chat.see(r"echo\[hello\].* n=3")  # the stopped answer is part of the conversation, the silent one is not
        chat.see(">>>")
        chat.type("\x03")
        chat.see("Ctrl-C again, Ctrl-D or /exit leaves.")
        chat.type("\x03")
        assert chat.exit_code() == 0


def test_trouble_in_a_chat_is_one_line_and_gives_the_text_back(chat: Terminal) -> None:
    with chat:
        chat.see(">>>")
        chat.type("crash\r")
        chat.see(r"The model's process ended: signal 9\.")
        chat.see(">>> ?crash")
        chat.type("\x03this is too long\r")
        chat.see(r"200 tokens .*/clear starts a new one")
        chat.see(">>> ?this is too long")
        chat.type("\x03fill\r")
        chat.see("fills 85% of the context")
        chat.type("long prompt\r")
        chat.see(r"% reading the prompt, \d+ of 2048 tokens")
        chat.see("4 cached")
        chat.type("escape\r")
        chat.see("4 cached")
        chat.see(">>>")
        chat.type("\x04")  # Ctrl-D leaves
        assert chat.exit_code() == 0
    assert "Traceback" not in chat.raw
    assert "\x1b[31m" not in chat.raw and "\x07" not in chat.raw  # what the model writes cannot drive the terminal
    assert "\x1b[2mhm\x1b[22m" in chat.raw


def test_no_color(home: dict[str, str]) -> None:
    with Terminal([PROGRAM, "run", "scripted", "escape"], {**home, "NO_COLOR": "1"}) as terminal:
        assert terminal.exit_code() == 0
    assert "\x1b" not in terminal.raw
    assert "[thinking] hm" in terminal.raw


def test_one_answer_in_pipes(home: dict[str, str]) -> None:
    done = run(home, "run", "scripted", "hi", stdin="ein Gruß\n".encode())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "echo[hi\n\nein Gruß] temperature=None seed=None n=1\n"


def test_the_flags_reach_the_request(capsys: pytest.CaptureFixture[str], here: None) -> None:
    assert main(["run", "scripted", "hi", "--json", "--seed", "5", "--system", "s", "--temperature", "0"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == "echo[hi] temperature=0.0 seed=5 n=2 untold"
    assert main(["run", "scripted", "hi", "--system", ""]) == 0
    assert capsys.readouterr().out == "echo[hi] temperature=None seed=None n=1 untold\n"


@pytest.mark.parametrize(
    ("model", "prompt", "code", "says"),
    [
        ("scripted", "too long", 2, "200 tokens"),
        ("scripted", "crash", 1, "signal 9"),
        ("scripted", "bug", 1, "Internal error, RuntimeError: a bug"),
        ("scriptid", "hi", 2, "Did you mean scripted?"),
    ],
)
def test_exit_codes(
    model: str, prompt: str, code: int, says: str, capsys: pytest.CaptureFixture[str], here: None
) -> None:
    assert main(["run", model, prompt]) == code
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1 and err.startswith("ggufrun: ")
    assert main(["run", model, prompt, "--debug"]) == code
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_leaves_ends_it_quietly(home: dict[str, str]) -> None:
    command = [sys.executable, "-m", PROGRAM, "run", "scripted", "slow"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env={**os.environ, **home}
    ) as program:
        assert program.stdout is not None and program.stderr is not None
        assert program.stdout.read(5) == b"word0"
        program.stdout.close()
        assert program.stderr.read() == b""
        assert program.wait(timeout=60) == 0


def test_a_full_disk_is_one_line(home: dict[str, str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is Linux's")
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", PROGRAM, "run", "scripted", "hi"]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, **home},
            timeout=60,
        )
    assert done.returncode == 1
    assert b"No space left" in done.stderr and done.stderr.count(b"\n") == 1


def test_ctrl_c_in_one_shot_is_130(home: dict[str, str]) -> None:
    with Terminal([PROGRAM, "run", "scripted", "slow"], home) as terminal:
        terminal.see("word2 ")
        terminal.type("\x03")
        assert terminal.exit_code() == 130
    assert "Traceback" not in terminal.raw
