"""Asks llama.cpp what a model would take: in a process of its own (`ggufrun.llama.probe`), where its aborts end.

What is asked and answered is a line of JSON. Plans are made elsewhere.
"""

import json
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from queue import Empty, SimpleQueue
from typing import Any, Final, Self

from ggufrun.child import as_text, child_environment, last_words, listen
from ggufrun.errors import CannotMeasure, GgufrunError, ModelFileError, OptionError, OutOfMemory
from ggufrun.fit.measured import Amounts, Measured, ProbedDevice
from ggufrun.settings import EngineSettings, ModelSettings

MODULE: Final = "ggufrun.llama.probe"
ANSWER_S: Final = 60.0  # for one answer; a vocabulary of 131,072 tokens takes a third of a second
_TAIL: Final = 8192  # characters of the child's standard error that are kept
_MEMORY: Final = re.compile(r"out of memory|(?:failed|unable) to allocate|bad_alloc|MemoryError", re.I)

Json = dict[str, Any]


class Probe:
    """One child, started at once, since importing llama.cpp takes it a while. A child that died is started again.

    From any thread; one question at a time. Close it before a model is loaded: on a GPU the child has memory too.
    Closing ends a question that another thread waits for: it raises CannotMeasure there.
    """

    def __init__(self, answer_s: float = ANSWER_S) -> None:
        self._answer_s = answer_s
        self._lock = threading.Lock()
        self._closed = False
        self._child: _Child | None = None
        with suppress(CannotMeasure):  # who asks will hear of it
            self._child = _Child()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def measure(self, settings: ModelSettings, engine: EngineSettings | None = None) -> Measured:
        """What a load with these settings would take: a `fit.measured.Measure`, which says what it raises."""
        question = {"do": "measure", "settings": asdict(settings), "engine": asdict(engine or EngineSettings())}
        raw = self._ask(question)
        amounts = {name: Amounts(**amount) for name, amount in raw.pop("devices").items()}
        return Measured(devices=amounts, **raw)

    __call__ = measure

    def devices(self) -> tuple[ProbedDevice, ...]:
        """All of ggml's devices that have memory, the processor included. Raises CannotMeasure."""
        return tuple(ProbedDevice(**row) for row in self._ask({"do": "devices"}))

    def close(self) -> None:
        self._closed = True
        child = self._child
        if child is not None:
            child.kill()  # who waits for its answer has the lock, and hears of its end
        with self._lock:
            self._discard()

    def _ask(self, question: Json) -> Any:
        with self._lock:
            if self._closed:
                raise _was_closed()
            if self._child is None:
                self._child = _Child()
            try:
                if self._closed:  # before it was there to be ended
                    raise _was_closed()
                answer: Json = self._child.ask(question, self._answer_s)
            except GgufrunError:
                self._discard()
                if self._closed:
                    raise _was_closed() from None
                raise
            except KeyboardInterrupt:
                self._discard()
                raise
        if "error" in answer:
            raise _error(answer["error"])
        return answer["ok"]

    def _discard(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()


class _Child:
    def __init__(self) -> None:
        self._answers: SimpleQueue[str | None] = SimpleQueue()
        self._tail = ""
        try:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE],  # -P: the current directory is the user's
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                env=child_environment() | {"GGML_NO_BACKTRACE": "1"},  # an abort would start gdb, which may hang
            )
        except OSError as error:
            raise CannotMeasure(f"no process for it: {error.strerror or error}") from error
        self._errors = listen(self._popen.stderr, self._hear_error)
        listen(self._popen.stdout, self._answers.put, lambda: self._answers.put(None))

    @property
    def pid(self) -> int:
        return self._popen.pid

    def ask(self, question: Json, patience: float) -> Json:
        """Raises OutOfMemory or CannotMeasure where no answer comes."""
        stdin = self._popen.stdin
        try:
            if stdin is not None:
                stdin.write(json.dumps(question, default=as_text) + "\n")
                stdin.flush()
        except (OSError, ValueError):
            raise self._ending() from None
        try:
            line = self._answers.get(timeout=patience)
        except Empty:
            raise CannotMeasure(f"no answer came in {patience:g} s") from None
        if line is None:
            raise self._ending()
        answer: Json = json.loads(line)
        return answer

    def kill(self) -> None:
        self._popen.kill()  # it holds nothing that could be lost

    def close(self) -> None:
        self.kill()
        self._popen.wait()
        self._errors.join(1)
        if self._popen.stdin is not None:
            with suppress(OSError):  # what was still to be written
                self._popen.stdin.close()

    def _hear_error(self, line: str) -> None:
        self._tail = (self._tail + line)[-_TAIL:]

    def _ending(self) -> GgufrunError:
        try:
            code = self._popen.wait(5)
        except subprocess.TimeoutExpired:
            return CannotMeasure("the measuring process closed its pipe and went on")
        self._errors.join(1)
        killed = sys.platform != "win32" and code == -signal.SIGKILL
        if killed or _MEMORY.search(self._tail):
            return OutOfMemory("There is too little memory to measure this model.", "Close other programs.")
        return CannotMeasure(f"the measuring process ended with code {code}{last_words(self._tail)}")


def _was_closed() -> CannotMeasure:
    return CannotMeasure("the measuring process was closed")


def _error(raw: Json) -> GgufrunError:
    if raw["type"] == "ModelFileError":
        return ModelFileError(raw["path"], raw["reason"], raw["hint"])
    if raw["type"] == "CannotMeasure":
        return CannotMeasure(raw["why"])
    kinds: dict[str, type[GgufrunError]] = {"OptionError": OptionError, "OutOfMemory": OutOfMemory}
    return kinds.get(raw["type"], CannotMeasure)(raw["message"], *([raw["hint"]] if raw["type"] in kinds else []))
