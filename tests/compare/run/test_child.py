"""The scoring process from outside: its end by a signal, and what it says when it fails"""

import os
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ggufrun.compare.run.child import ScoringProcess, Stopped, error_of
from ggufrun.errors import EngineError, InputError, OutOfMemory
from ggufrun.settings import ModelSettings

pytestmark = pytest.mark.process


def request(path: Path) -> dict[str, Any]:
    return {"model": asdict(ModelSettings(path)), "kv_type": "f16", "context": 512, "jobs": []}


def test_a_model_that_does_not_load_is_told_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "no.gguf"
    path.write_bytes(b"nothing")
    with ScoringProcess(request(path), lambda: False) as process:
        events = list(process.events())
    assert events[-1]["event"] == "failed"
    error = error_of(events[-1])
    assert isinstance(error, InputError) and "no.gguf" in str(error)


def test_one_that_is_killed_ran_out_of_memory_most_likely(tiny_model: Callable[[str], Path]) -> None:
    with ScoringProcess(request(tiny_model("llama-tiny")), lambda: False) as process:
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(OutOfMemory):
            list(process.events())


def test_one_that_dies_otherwise_says_with_which_code(tiny_model: Callable[[str], Path]) -> None:
    with ScoringProcess(request(tiny_model("llama-tiny")), lambda: False) as process:
        os.kill(process.pid, signal.SIGSEGV)
        with pytest.raises(EngineError, match=r"code -11"):
            list(process.events())


def test_a_wish_to_stop_is_heard_and_the_process_ends(tiny_model: Callable[[str], Path]) -> None:
    with ScoringProcess(request(tiny_model("llama-tiny")), lambda: True) as process, pytest.raises(Stopped):
        list(process.events())
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_it_is_out_of_reach_of_the_terminals_ctrl_c(tiny_model: Callable[[str], Path]) -> None:
    with ScoringProcess(request(tiny_model("llama-tiny")), lambda: False) as process:
        assert os.getpgid(process.pid) != os.getpgid(0)
        assert [event["event"] for event in process.events()] == ["loaded", "peak"]
