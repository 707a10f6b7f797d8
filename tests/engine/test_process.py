"""The worker as a child process, without a service: whatever ends its threads, the process ends and that is told."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from ggufrun.engine.messages import FromWorker, Ready, Submit, ToWorker, WorkerSettings
from ggufrun.engine.process import WorkerProcess
from ggufrun.engine.types import GenerationRequest
from ggufrun.engine.worker import EXIT_DEAF
from ggufrun.settings import EngineSettings, ModelSettings
from tests.engine.worker_models import HANG

pytestmark = pytest.mark.process

SETTINGS = WorkerSettings("tests.engine.worker_models:good", ModelSettings(Path("fake.gguf")), EngineSettings())


def ending(heard: Callable[[WorkerProcess, Sequence[FromWorker]], None]) -> str:
    """How a worker ends whose messages go to `heard`; it must be gone by then, and told once."""
    told: list[WorkerProcess] = []
    over = threading.Event()

    def ended(process: WorkerProcess) -> None:
        told.append(process)
        over.set()

    process = WorkerProcess(SETTINGS, heard, ended)
    try:
        assert over.wait(60)
        assert not psutil.pid_exists(process.pid)
        assert process.given_up and not process.killed
        process.stop(0)
        assert told == [process]
    finally:
        process.kill("the test is over")
    return process.ending()


def test_an_error_of_who_hears_ends_the_worker() -> None:
    def heard(process: WorkerProcess, messages: Sequence[FromWorker]) -> None:
        raise LookupError("nobody of that name")

    assert "could not be read (LookupError: nobody of that name)" in ending(heard)


def test_a_message_that_cannot_be_sent_ends_the_worker() -> None:
    def heard(process: WorkerProcess, messages: Sequence[FromWorker]) -> None:
        if isinstance(messages[-1], Ready):
            process.send(Submit(GenerationRequest(1, cast(Any, threading.Lock()))))

    assert "could not be sent (TypeError" in ending(heard)


def test_no_process_is_left_where_no_thread_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    start, before = threading.Thread.start, set(psutil.Process().children())

    def refuse(thread: threading.Thread) -> None:
        if thread.name.endswith("events"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OSError, match="can't start new thread"):
        WorkerProcess(SETTINGS, lambda process, messages: None, lambda process: None)
    assert set(psutil.Process().children()) <= before


def test_sending_to_a_worker_that_has_ended_is_no_error() -> None:
    over = threading.Event()
    process = WorkerProcess(SETTINGS, lambda process, messages: None, lambda process: over.set())
    process.kill("enough")
    messages: list[ToWorker] = [Submit(GenerationRequest(1, (5,)))] * 3
    for message in messages:
        process.send(message)
    assert over.wait(60) and process.ending() == "enough"
    process.send(messages[0])
    process.stop(0)


@pytest.mark.parametrize(
    ("frame", "words"),
    [(b"\x04\0\0\0junk", "UnpicklingError"), (b"\xff\xff\xff\xff", "over the limit")],
    ids=["garbled", "too long"],
)
def test_a_worker_that_cannot_read_a_message_ends_even_while_it_computes(frame: bytes, words: str) -> None:
    ready, over = threading.Event(), threading.Event()

    def heard(process: WorkerProcess, messages: Sequence[FromWorker]) -> None:
        if isinstance(messages[-1], Ready):
            ready.set()

    process = WorkerProcess(SETTINGS, heard, lambda process: over.set())
    try:
        assert ready.wait(60)
        process.send(Submit(GenerationRequest(1, (HANG,))))
        time.sleep(0.2)  # the outbox has written it, and the worker is busy with it
        process._stdin.write(frame)
        process._stdin.flush()
        assert over.wait(60)
        assert not process.given_up
        assert f"exit status {EXIT_DEAF};" in process.ending() and words in process.ending()
    finally:
        process.kill("the test is over")
