"""The server's log: lines with their time, and a reader that takes none must not hold the server."""

import io
import logging
import re
import threading
import time

import pytest

from ggufrun.api import logs
from ggufrun.api.logs import logging_to

ACCESS = logging.getLogger("ggufrun.access")


def test_lines_have_their_time_and_other_loggers_only_warn() -> None:
    stream = io.StringIO()
    with logging_to(stream):
        ACCESS.info("one %s", "line")
        logging.getLogger("ggufrun.else").info("quiet")
        logging.getLogger("uvicorn.error").warning("a warning")
    ACCESS.info("after the end")
    first, second = stream.getvalue().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO ggufrun\.access: one line", first)
    assert second.endswith("WARNING uvicorn.error: a warning")


class Held(io.StringIO):
    """A terminal whose user pressed Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.writing, self.go_on = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.writing.set()
        assert self.go_on.wait(90)
        return super().write(text)


def test_a_terminal_that_is_held_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "WAITING", 3)
    stream = Held()
    start = time.monotonic()
    with logging_to(stream):
        ACCESS.info("first")
        assert stream.writing.wait(60)
        for number in range(5):
            ACCESS.info("line %d", number)
        assert time.monotonic() - start < 60
        stream.go_on.set()
    assert [line[-6:] for line in stream.getvalue().splitlines()[:4]] == [" first", "line 0", "line 1", "line 2"]
    assert "2 lines were dropped" in stream.getvalue()


def test_the_end_does_not_wait_for_a_terminal_that_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "END_S", 0.05)
    stream = Held()
    start = time.monotonic()
    with logging_to(stream):
        ACCESS.info("first")
    assert time.monotonic() - start < 60
    stream.go_on.set()


class Gone(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_is_gone_is_no_fault() -> None:
    with logging_to(Gone()):
        ACCESS.info("first")
        ACCESS.info("second")
