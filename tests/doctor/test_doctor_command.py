"""`ggufrun doctor` as a user starts it: what it prints, and what it never does."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ggufrun.child import child_environment
from tests.doctor.files import with_text
from tests.program import run_ggufrun
from tests.weights.gguf_bytes import small

pytestmark = pytest.mark.process

TOKEN = "hf_ThisIsNobodysToken01234"


def doctor(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = child_environment() | {"COLUMNS": "40", "PYTHONIOENCODING": "utf-8"} | variables
    return run_ggufrun("doctor", *arguments, environment=environment, timeout_s=110)


def test_the_demo_model_passes(demo_path: Path) -> None:
    done = doctor("demo")
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("machine", "llama.cpp", "measured", "model", "tokens/s", demo_path.name):
        assert word in done.stdout
    assert "\x1b" not in done.stdout  # nobody's terminal is there
    assert not any(
        line.lstrip().startswith(("warning", "fault")) for line in done.stdout.partition("\nmodel")[2].splitlines()
    )


def planted(home: Path) -> dict[str, str]:
    """What a user's environment may tell about them."""
    return {"HOME": str(home), "USERPROFILE": str(home), "USER": "annabel", "LOGNAME": "annabel", "HF_TOKEN": TOKEN}


def test_nothing_that_should_stay_at_home(tmp_path: Path, tiny_model: Callable[[str], Path]) -> None:
    """A home folder, a user's name and secrets are planted: in the environment, in the path, and in the file."""
    home = tmp_path / "annabel"
    home.mkdir()
    path = home / f"by-annabel-{TOKEN}.gguf"
    with_text(tiny_model("llama-tiny"), path, "tokenizer.chat_template", f"{{{{ {TOKEN} }}}} {home} {{% if %}}")
    done = doctor(str(path), **planted(home))
    assert (done.returncode, done.stderr) == (1, "")
    assert "annabel" not in done.stdout
    assert TOKEN not in done.stdout
    assert f"~{os.sep}by-<user>-<secret>.gguf" in done.stdout


def test_a_fault_is_exit_code_1_and_told_as_data(tmp_path: Path) -> None:
    """The same holds for the data."""
    path = tmp_path / f"annabel-{TOKEN}.gguf"
    path.write_bytes(small()[:-100])
    done = doctor(str(path), "--json", **planted(tmp_path))
    assert (done.returncode, done.stderr) == (1, "")
    told = json.loads(done.stdout)
    assert told["worst"] == "fault"
    (finding,) = told["model"]["findings"]
    assert (finding["topic"], finding["level"], "truncated" in finding["says"]) == ("header", "fault", True)
    assert told["model"]["files"] == [f"~{os.sep}<user>-<secret>.gguf"]
    assert told["machine"]["ram_total"] > 1 << 28
    assert "CPU" in told["llama.cpp"]["backends"]
    assert told["measured"]["cpu"]["tok_s"] > 1


def test_a_name_that_nobody_knows() -> None:
    done = doctor("no-such-model")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no-such-model" in done.stderr
