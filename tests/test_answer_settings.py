"""The answer keys of ggufrun.toml on the demo model: the command, the server and the Python API read them alike."""

import json
from pathlib import Path
from typing import Any

import pytest

import ggufrun
from tests.api.served import served
from tests.program import at_home, run_ggufrun

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("demo_path")]

SYSTEM = "You are a pirate who knows every harbour of the seven seas by heart, and who answers in one short sentence."
SETTINGS = f"""
[defaults]
system = "{SYSTEM}"
max_tokens = 9
temperature = 0
[models.demo]
max_tokens = 3
"""
ASKED = "Count from one to twenty."
ALONE: list[dict[str, str]] = [{"role": "user", "content": ASKED}]
TOLD = [{"role": "system", "content": SYSTEM}, *ALONE]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "ggufrun.toml").write_text(SETTINGS, "utf-8")
    return tmp_path


def counts(usage: Any) -> tuple[int, int]:
    return usage["prompt_tokens"], usage["completion_tokens"]


def once(home: Path, *flags: str) -> tuple[int, int]:
    arguments = ("run", "demo", ASKED, "--json", "--context", "512", *flags)
    done = run_ggufrun(*arguments, environment=at_home(home), timeout_s=100)
    assert done.returncode == 0, done.stderr
    return counts(json.loads(done.stdout)["usage"])


def test_python_the_server_and_the_command_agree(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GGUFRUN_HOME", str(home))
    with ggufrun.load("demo", context=512) as model:
        told, other = model.count_tokens(TOLD), model.count_tokens([{"role": "system", "content": "x"}, *ALONE])
        assert model.count_tokens(ALONE) == told > other
        assert counts(model.chat(ALONE).usage) == counts(model.chat(TOLD).usage) == (told, 3)
        assert counts(model.chat(ALONE, max_tokens=5).usage) == (told, 5)
        assert model.info.defaults.system == SYSTEM and model.info.defaults.max_tokens == 3
    with served("demo", home, "--context", "512") as server:
        assert counts(server.chat(ASKED).json()["usage"]) == (told, 3)
        chunks = list(server.stream([{"role": "system", "content": "x"}, *ALONE], max_tokens=4))
        assert counts(chunks[-1]["usage"]) == (other, 4)
    assert once(home) == (told, 3)
    assert once(home, "--system", "x", "--max-tokens", "4") == (other, 4)
    without = once(home, "--system", "")
    (home / "ggufrun.toml").unlink()
    assert once(home, "--max-tokens", "3") == without != (told, 3)


def test_a_stop_string_of_the_file_holds_until_a_request_has_none(home: Path) -> None:
    (home / "ggufrun.toml").write_text('[models.demo]\ntemperature = 0\nmax_tokens = 30\nstop = ["e"]\n', "utf-8")
    with served("demo", home, "--context", "512") as server:
        stopped = server.chat(ASKED).json()["choices"][0]
        free = server.chat(ASKED, stop=[]).json()["choices"][0]
    assert stopped["finish_reason"] == "stop" and "e" in free["message"]["content"]
    assert stopped["message"]["content"] == free["message"]["content"].partition("e")[0]
