"""The process that measures one row: a line of JSON asks, lines answer

`python -m ggufrun.compare.scoring.worker` loads one model and does one job after the other, each into files of its
own. The end of its input ends it.

    {"model": {"path": "a.gguf"}, "kv_type": "f16", "context": 4096, "jobs": [{"kind": "speed", "out": "s.json"}]}
    {"event": "loaded", "load_s": 0.9}
    {"event": "peak", "bytes": 412000256}
    {"event": "progress", "job": 0, "done": 3, "of": 12}
    {"event": "done", "job": 0, "seconds": 8.1}
    {"event": "failed", "job": null, "type": "ModelFileError", "message": "...", "hint": "..."}
"""

import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import IO, Any, Final

from ggufrun.compare.scoring.contexts import Contexts
from ggufrun.compare.scoring.decoding import feed
from ggufrun.compare.scoring.jobs import from_json
from ggufrun.compare.scoring.memory import Meter
from ggufrun.errors import GgufrunError, OutOfMemory
from ggufrun.llama.probe import settings_of

PROGRESS_S: Final = 0.1  # between two lines about one job

Json = dict[str, Any]
Say = Callable[..., None]


def work(question: Json, say: Say) -> None:
    """Everything that one line asks for. Raises what a load raises; a job that fails does not end the others."""
    settings = settings_of(question["model"])
    meter, start = Meter(), time.perf_counter()
    contexts = Contexts.load(replace(settings, kv_type=question["kv_type"], context=question["context"]))
    try:
        say("loaded", load_s=time.perf_counter() - start)
        _warm_up(contexts)
        say("peak", bytes=meter.peak())  # now: what a job needs beside the model is not what the model takes
        for index, raw in enumerate(question["jobs"]):
            _do(contexts, index, raw, say)
    finally:
        contexts.close()


def _warm_up(contexts: Contexts) -> None:
    """One batch, so that all weights have been read and all buffers been used."""
    backend = contexts.empty(1)
    rows = min(backend.limits.batch, backend.limits.context)
    feed(backend, 0, random.Random(0).choices(range(backend.limits.vocabulary), k=rows))
    backend.logits(0)  # waits for the computation


def _do(contexts: Contexts, index: int, raw: Json, say: Say) -> None:
    start = said = time.perf_counter()

    def tick(done: int, of: int) -> None:
        nonlocal said
        if (now := time.perf_counter()) - said >= PROGRESS_S or done == of:
            said = now
            say("progress", job=index, done=done, of=of)

    try:
        from_json(raw).do(contexts, tick)
    except Exception as error:  # where this job ends, and the next begins
        say("failed", job=index, **_told(error))
    else:
        say("done", job=index, seconds=time.perf_counter() - start)


def _told(error: Exception) -> Json:
    if isinstance(error, MemoryError):
        error = OutOfMemory("There is too little memory to score this model.", "Close other programs.")
    if isinstance(error, GgufrunError):
        return {"type": type(error).__name__, "message": error.message, "hint": error.hint}
    return {"type": type(error).__name__, "message": f"{type(error).__name__}: {error}", "hint": ""}


class _Lines:
    """Says what happens, to the parent."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __call__(self, event: str, **values: Any) -> None:
        self._stream.write(json.dumps({"event": event, **values}) + "\n")
        self._stream.flush()


def _end_with(stream: IO[str]) -> None:
    """Nothing more is asked; its end is the parent's, and ends this process too, whatever native code is doing."""

    def wait() -> None:
        stream.read()
        os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    say = _Lines(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # what others print to standard output is no event
    question = json.loads(sys.stdin.readline())
    _end_with(sys.stdin)
    try:
        work(question, say)
    except Exception as error:  # where this process ends
        say("failed", job=None, **_told(error))


if __name__ == "__main__":
    main()
