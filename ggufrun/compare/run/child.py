"""One scoring process: what it is asked, what it says, and how it ends. What its jobs are for, others know

It is out of reach of the terminal's Ctrl-C: whoever asked decides what becomes of it. It ends with this process, since
its standard input does.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, Self

from ggufrun.child import as_text, child_environment, last_words, listen
from ggufrun.errors import EngineError, GgufrunError, InputError, OutOfMemory

MODULE: Final = "ggufrun.compare.scoring.worker"
_POLL_S: Final = 0.1  # how soon a wish to stop is heard
_TAIL: Final = 8192  # characters of the child's standard error that are kept
_INPUT: Final = ("ModelFileError", "OptionError", "OutOfMemory")  # the model's fault, by the errors' names

Json = dict[str, Any]


class Stopped(Exception):
    """The run is to end. What is finished is kept."""


class ScoringProcess:
    """Started at once, and ended on the way out."""

    def __init__(self, request: Mapping[str, Any], is_stopped: Callable[[], bool]) -> None:
        self._is_stopped = is_stopped
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._tail = ""
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE],  # -P: the current directory is the user's
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env=child_environment() | {"GGML_NO_BACKTRACE": "1"},  # an abort would start gdb, which may hang
            start_new_session=os.name != "nt",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._errors = listen(self._popen.stderr, self._hear_error)
        listen(self._popen.stdout, self._lines.put, lambda: self._lines.put(None))
        with suppress(OSError):  # it died: its end says why
            self._ask(json.dumps(request, default=as_text))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._popen.kill()  # what it had not finished nobody wants
        self._popen.wait()
        self._errors.join(1)
        if self._popen.stdin is not None:
            with suppress(OSError):
                self._popen.stdin.close()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def events(self) -> Iterator[Json]:
        """What it says until it ends. Raises Stopped, and EngineError or OutOfMemory where it dies."""
        while True:
            if self._is_stopped():
                raise Stopped
            try:
                line = self._lines.get(timeout=_POLL_S)
            except Empty:
                continue
            if line is None:
                break
            with suppress(ValueError):  # a library that prints
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event
        self._check_end()

    def _ask(self, line: str) -> None:
        if self._popen.stdin is not None:
            self._popen.stdin.write(line + "\n")
            self._popen.stdin.flush()

    def _check_end(self) -> None:
        code = self._popen.wait()
        self._errors.join(1)
        if code == 0:
            return
        if sys.platform != "win32" and code == -signal.SIGKILL:
            raise OutOfMemory("The scoring process was killed: memory ran out, most likely.", "Close other programs.")
        raise EngineError(f"The scoring process ended with code {code}{last_words(self._tail)}")

    def _hear_error(self, line: str) -> None:
        self._tail = (self._tail + line)[-_TAIL:]


def error_of(event: Mapping[str, Any]) -> GgufrunError:
    """What a "failed" event says."""
    kind: type[GgufrunError] = InputError if event.get("type") in _INPUT else EngineError
    return kind(str(event.get("message", "")), str(event.get("hint", "")))
