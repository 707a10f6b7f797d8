"""The ledger on a real file: what is kept, the tokens of a day, and files that cannot be written."""

import asyncio
import logging
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from ggufrun.errors import OptionError
from ggufrun.records import ledger as module
from ggufrun.records.database import connect
from ggufrun.records.ledger import DAY_S, Ledger, Text
from tests.api.entries import entry, rows, until_written, write

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program holds the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            database.execute("ROLLBACK")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that waits 0.05 s for a lock and tries again as soon."""
    monkeypatch.setattr(module, "connect", lambda path: connect(path, 0.05))
    monkeypatch.setattr(module, "RETRY_S", 0.05)


def test_a_call_is_kept_with_all_its_fields_and_no_text(tmp_path: Path) -> None:
    path = tmp_path / "new" / "ggufrun.db"
    call = entry(key="anna", usd=0.25, ttft_s=None)
    write(path, call)
    (kept,) = rows(path)
    assert kept.pop("id") == 1 and kept == asdict(call)
    assert rows(path, "texts") == [] and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_texts_are_kept_where_they_are_given(tmp_path: Path) -> None:
    path = tmp_path / "ggufrun.db"
    ledger = Ledger(path)
    first, second = entry(), entry()
    ledger.record(first, Text("what? \ud83d", "that"))  # half a character, as JSON may hold it
    ledger.record(second)
    ledger.close()
    (kept,) = rows(path, "texts")
    assert (kept["request_id"], kept["prompt"], kept["answer"]) == (first.request_id, "what? ?", "that")
    assert len(rows(path)) == 2


def test_texts_that_wait_are_bounded_and_their_calls_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEXT", 100)
    path = tmp_path / "ggufrun.db"
    ledger = Ledger(path)
    for _ in range(3):
        ledger.record(entry(), Text("x" * 40, "y" * 20))
    until_written(path, 3)
    ledger.record(entry(), Text("x" * 40, "y" * 20))  # there is room again
    ledger.close()
    assert (len(rows(path)), len(rows(path, "texts"))) == (4, 2)


def test_calls_are_in_the_file_within_a_second(tmp_path: Path) -> None:
    assert module.GATHER_S < 1
    path = tmp_path / "ggufrun.db"
    ledger = Ledger(path)
    try:
        for calls in (1, 2):  # the first one after a pause too
            ledger.record(entry())
            until_written(path, calls)
    finally:
        ledger.close()


def test_many_calls_need_few_transactions(tmp_path: Path) -> None:
    path = tmp_path / "ggufrun.db"
    ledger = Ledger(path)
    started = time.monotonic()
    for _ in range(5000):
        ledger.record(entry())
    assert time.monotonic() - started < 20  # some milliseconds; a transaction for each would take minutes
    ledger.close()
    assert len(rows(path)) == 5000


async def test_the_tokens_of_a_day(tmp_path: Path) -> None:
    path = tmp_path / "ggufrun.db"
    midnight = int(time.time()) // DAY_S * DAY_S
    write(
        path,
        entry(key="anna", time=float(midnight)),
        entry(key="anna", time=midnight - 0.001),  # yesterday
        entry(key="ben"),
        entry(),
    )
    ledger = Ledger(path)
    try:
        assert await ledger.used_today("anna") == 15
        assert await ledger.used_today("nobody") == 0
        ledger.record(entry(key="anna", prompt_tokens=100, completion_tokens=1))
        for _ in range(100):  # written or not, and while it is being written
            assert await ledger.used_today("anna") == 116
            await asyncio.sleep(0.005)
        assert len(rows(path)) == 5
        write(path, entry(key="anna"))  # by another server
        assert await ledger.used_today("anna") == 131
    finally:
        ledger.close()


async def test_a_call_that_was_just_written_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ggufrun.db"
    ledger = Ledger(path)
    forget, go_on = ledger._forget, threading.Event()

    def later(count: int) -> None:
        assert go_on.wait(60)
        forget(count)

    monkeypatch.setattr(ledger, "_forget", later)
    ledger.record(entry(key="anna"))
    until_written(path, 1)
    assert await ledger.used_today("anna") == 15  # in the file, and still in memory
    go_on.set()
    ledger.close()


@pytest.mark.usefixtures("impatient")
async def test_a_locked_file_fails_no_call_and_loses_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def said() -> list[str]:
        return [record.getMessage() for record in caplog.records if "cannot be written now" in record.getMessage()]

    path = tmp_path / "ggufrun.db"
    ledger = Ledger(path)
    with locked(path):
        started = time.monotonic()
        for _ in range(10):
            ledger.record(entry(key="anna"))
        assert time.monotonic() - started < 10  # it is locked until this test goes on
        while not said():  # noqa: ASYNC110 - a thread says it
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)  # several tries
        assert await ledger.used_today("anna") == 150
    until_written(path, 10)
    assert await ledger.used_today("anna") == 150
    with locked(path):
        ledger.record(entry())
        while len(said()) < 2:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    ledger.close()
    assert len(rows(path)) == 11
    assert len(said()) == 2 and "locked" in said()[0]  # once for each time


@pytest.mark.usefixtures("impatient")
async def test_a_full_disk_is_told_once_and_the_tokens_still_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "BACKLOG", 50)
    path = tmp_path / "ggufrun.db"
    ledger = Ledger(path)
    ledger._writer.execute("PRAGMA max_page_count = 1")  # SQLite's own "database or disk is full"
    for _ in range(80):
        ledger.record(entry(key="anna"))
    await asyncio.sleep(0.6)
    assert await ledger.used_today("anna") == 80 * 15
    ledger.close()
    assert rows(path) == []
    assert [line for line in caplog.messages if "is full" in line] and caplog.text.count("cannot be written") == 1
    assert "80 calls are missing in the ledger" in caplog.text


@pytest.mark.usefixtures("impatient")
def test_closing_waits_only_some_seconds_for_a_locked_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "ggufrun.db"
    ledger = Ledger(path)
    with locked(path):
        ledger.record(entry())
        started = time.monotonic()
        ledger.close()
        assert time.monotonic() - started < 30  # the lock would hold for ever
    assert "1 calls are missing" in caplog.text


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "ggufrun.db"
    path.write_text("this is a text, and long enough to be read as a header" * 10)
    with pytest.raises(OptionError, match="cannot be opened"):
        Ledger(path)


def test_a_damaged_file_stops_no_server(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "ggufrun.db"
    write(path, *(entry(key=f"key {n}") for n in range(500)))
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (path.stat().st_size - 8192))
    ledger = Ledger(path)
    ledger.record(entry())
    ledger.close()
    assert "cannot be read now" in caplog.text and "calls are missing" in caplog.text


def test_an_answer_far_over_the_usual_is_warned_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "ggufrun.db"
    write(path, *(entry(key="anna", completion_tokens=100 + n) for n in range(20)))
    ledger = Ledger(path)  # knows the usual from the file
    with caplog.at_level(logging.WARNING):
        ledger.record(entry(key="anna", completion_tokens=900))
        ledger.record(entry(key="ben", completion_tokens=9000))
        assert caplog.records == []
        ledger.record(loop := entry(key="anna", completion_tokens=4000))
    ledger.close()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING and loop.request_id in record.getMessage()
    assert "4000 tokens" in record.getMessage() and "'anna'" in record.getMessage() and "110" in record.getMessage()


WRITER = """
import sys, time
from pathlib import Path
from ggufrun.records.ledger import Ledger
from tests.api.entries import entry
ledger = Ledger(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    ledger.record(entry(key=sys.argv[3], request_id=f"{sys.argv[3]}-{number}", completion_tokens=number))
    time.sleep(float(sys.argv[4]))
    print(number, time.time(), flush=True)
ledger.close()
"""


def writing(path: Path, calls: int, name: str, pause: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(path), str(calls), name, str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ)


def test_a_process_that_is_killed_loses_the_last_second_at_most(tmp_path: Path) -> None:
    path = tmp_path / "ggufrun.db"
    process = writing(path, 10_000, "anna", 0.005)
    assert process.stdout is not None
    done = [line.split() for line, _ in zip(process.stdout, range(300), strict=False)]
    killed = time.time()
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    kept = {row["completion_tokens"] for row in rows(path)}
    old = {int(number) for number, when in done if float(when) < killed - 1}
    assert old and old <= kept


def test_a_process_that_looks_in_and_leaves_takes_nothing_away(tmp_path: Path) -> None:
    """SQLite's locks on the file must hold, or the other process removes the -wal that this one writes on."""
    path = tmp_path / "ggufrun.db"
    ledger = Ledger(path)
    ledger.record(entry())
    look = (
        "import sys, sqlite3; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM calls').fetchone()[0])"
    )
    seen = []
    for calls in (1, 2, 3):
        until_written(path, calls)
        seen.append(subprocess.check_output([sys.executable, "-c", look, str(path)], text=True, timeout=60).strip())
        ledger.record(entry())
    ledger.close()
    assert seen == ["1", "2", "3"] and len(rows(path)) == 4


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "ggufrun.db"
    both = [writing(path, 300, name, 0.002) for name in ("anna", "ben")]
    for process in both:
        process.communicate(timeout=60)
        assert process.returncode == 0
    found = rows(path)
    assert {row["request_id"] for row in found} == {f"{name}-{n}" for name in ("anna", "ben") for n in range(300)}
    assert len(found) == 600
