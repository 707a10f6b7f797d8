"""The process that checks answers: what it says, and that it ends whatever becomes of whoever started it."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ggufrun.chat import schema_validation
from ggufrun.chat.answer_check import Checkers, CheckTimeout, cut_short, incomplete
from ggufrun.errors import EngineError
from tests.engine.services import until_gone

pytestmark = pytest.mark.process

HOSTILE = json.dumps({"type": "string", "pattern": "^(a|a)*(?!x)b$"})
LONG = json.dumps("a" * 60)
PROGRAM = [sys.executable, "-P", "-m", "ggufrun.chat.schema_validation"]


async def test_a_hostile_pattern_is_given_up_and_nothing_waits_for_it() -> None:
    checkers = Checkers(seconds=0.4)
    assert await checkers.wrong(HOSTILE, '"aab"') == ""
    started, turns = time.monotonic(), 0
    working = asyncio.create_task(checkers.wrong(HOSTILE, LONG))
    while not working.done() and turns < 5000:
        await asyncio.sleep(0.01)
        turns += 1
    with pytest.raises(CheckTimeout, match=r"more than 0\.4 s"):
        await working
    assert turns > 3 and time.monotonic() - started < 60


async def test_references_are_not_fetched_and_pointers_are_told() -> None:
    schema = {"properties": {"a": {"items": {"not": {"pattern": "x"}}}, "b": {"$ref": "http://127.0.0.1:9/x"}}}
    checkers, written = Checkers(), json.dumps(schema)
    assert await checkers.wrong(written, '{"a": ["y"]}') == ""
    assert "/a/0" in await checkers.wrong(written, '{"a": ["x"]}')
    assert "could not be checked" in await checkers.wrong(written, '{"b": 1}')
    assert await checkers.wrong(written, "[1") == "it is not complete JSON"


async def test_decimals_are_compared_as_they_are_written() -> None:
    checkers, schema = Checkers(), '{"multipleOf": 0.0001, "not": {"const": 1e500}}'
    assert [await checkers.wrong(schema, text) for text in ("8500.8118", "0.3", "1e3")] == ["", "", ""]
    assert await checkers.wrong(schema, "0.00015")


async def test_long_names_and_deep_answers_are_answered_like_others() -> None:
    checkers, name = Checkers(), "k" * 100_000
    reason = await checkers.wrong(json.dumps({"properties": {name: {"type": "integer"}}}), json.dumps({name: "x"}))
    assert reason.startswith("/kkk") and "is not of type 'integer'" in reason and len(reason) < 1000
    deep = "[" * 100_000 + "]" * 100_000
    assert await checkers.wrong("true", deep) == incomplete(deep) == "it is nested too deeply"


@pytest.mark.parametrize(
    ("answer", "cut"), [('{"a": 1}', False), ("[1", True), ("12", True), ("1.5", True), ("true", False), ("", True)]
)
def test_what_a_stop_string_may_have_cut(answer: str, cut: bool) -> None:
    assert cut_short(answer) is cut


async def test_only_a_few_run_at_once() -> None:
    checkers, most = Checkers(at_once=2, seconds=0.3), 0
    working = asyncio.gather(*(checkers.wrong(HOSTILE, LONG) for _ in range(6)), return_exceptions=True)
    async with asyncio.timeout(60):
        while not working.done():
            most = max(most, len(_processes()))
            await asyncio.sleep(0.02)
    assert all(isinstance(each, CheckTimeout) for each in await working)
    assert most == 2 and not _processes()


def _processes() -> list[psutil.Process]:
    """This process's checkers; other tests before may have left it other children."""
    found = []
    for each in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "ggufrun.chat.schema_validation" in each.cmdline():
                found.append(each)
    return found


async def test_a_check_ends_where_its_parent_was_killed() -> None:
    parent = f"""
import asyncio
from ggufrun.chat import answer_check
async def told(process, schema, answer, verdict=answer_check._verdict):
    print(process.pid, flush=True)
    return await verdict(process, schema, answer)
answer_check._verdict = told
asyncio.run(answer_check.Checkers(seconds=0.5).wrong({HOSTILE!r}, {LONG!r}))
"""
    started = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, stdout=subprocess.PIPE)
    assert started.stdout is not None
    checker = psutil.Process(int(await asyncio.wait_for(started.stdout.readline(), 60)))
    try:
        await asyncio.sleep(0.1)
        started.kill()
        await started.wait()
        assert checker.is_running()
        await until_gone(checker.pid)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            checker.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits")
def test_the_system_limits_it_too_where_it_can() -> None:
    """Without the watchdog: the processor's time alone ends it."""
    code = """
import faulthandler, runpy, sys
faulthandler.dump_traceback_later = lambda *_, **__: None
sys.argv = ["", "0"]
runpy.run_module("ggufrun.chat.schema_validation", run_name="__main__")
"""
    line = json.dumps([HOSTILE, LONG]) + "\n"
    ended = subprocess.run([sys.executable, "-c", code], input=line, text=True, capture_output=True, timeout=60)
    assert ended.returncode in (-signal.SIGKILL, -signal.SIGXCPU)


@pytest.mark.skipif(sys.platform == "win32", reason="no resource limits")
def test_a_system_that_takes_no_limit_is_no_reason_not_to_check() -> None:
    """As macOS answers to RLIMIT_AS."""
    code = """
import resource, runpy, sys
def refuse(*_):
    raise ValueError("current limit exceeds maximum limit")
resource.setrlimit = refuse
sys.argv = ["", "5"]
runpy.run_module("ggufrun.chat.schema_validation", run_name="__main__")
"""
    line = json.dumps(["false", "1"]) + "\n"
    ended = subprocess.run([sys.executable, "-c", code], input=line, text=True, capture_output=True, timeout=60)
    assert ended.returncode == 0 and "False schema does not allow" in ended.stdout, ended.stderr


def test_without_an_answer_it_ends() -> None:
    ended = subprocess.run([*PROGRAM, "5"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout.split()) == (0, [b'""'])


async def test_one_that_does_not_start_is_no_fault_of_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It imports from where this process does, so that a checkout works uninstalled; here that is a broken place."""
    (tmp_path / "jsonschema.py").write_text("raise ImportError('not this one')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EngineError, match=r"did not start: ImportError: not this one\. Send"):
        await Checkers().wrong("true", "1")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(EngineError, match="did not start"):
        await Checkers().wrong("true", "1")


async def test_cancelling_ends_the_process() -> None:
    checkers = Checkers(at_once=1)
    for delay in (0.0, 0.01, 0.03, 0.06, 0.1, 0.2, 0.4):
        working = asyncio.create_task(checkers.wrong(HOSTILE, LONG))
        await asyncio.sleep(delay)
        working.cancel()
        done, _ = await asyncio.wait([working], timeout=60)
        assert done and working.cancelled() and not _processes()
    assert await asyncio.wait_for(checkers.wrong("true", "1"), 20) == ""  # no place was kept


def test_what_is_no_exception_of_pythons_is_a_verdict_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """As rpds, in Rust, raises where a reference leads to nothing but itself."""

    def panic(errors: object) -> None:
        raise PanicException("rpds")

    monkeypatch.setattr(schema_validation, "best_match", panic)
    assert schema_validation.wrong("true", "1") == "it could not be checked (rpds)"
