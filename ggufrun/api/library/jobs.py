"""Long work of the library, and comparisons, in threads: each kind one after the other. A job outlives its request.

Finished ones are remembered for a while; nothing of them survives the server.
"""

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from ggufrun.api.errors import sentence
from ggufrun.errors import EngineBusy, EngineClosed, GgufrunError, UnknownJob

Kind = Literal["pull", "verify", "compare"]
JobState = Literal["waiting", "running", "done", "failed", "stopped"]

_log = logging.getLogger(__name__)
_KEPT: Final = 50  # finished jobs
_WAITING: Final = 100
_PARTING_S: Final = 1.0  # for running jobs to see that they are to end
OVER: Final = ("done", "failed", "stopped")


@dataclass(slots=True)
class FileState:
    state: str
    done: int
    size: int


@dataclass(frozen=True, slots=True)
class Going:
    """How far work is that is not about files. `done`: from 0 to 1; `left_s`: None, nobody knows yet."""

    done: float = 0.0
    left_s: float | None = None
    doing: str = ""
    row: str = ""


@dataclass(slots=True)
class Job:
    """What is known of one. Written by its thread, read by all: `version` counts the changes."""

    kind: Kind
    asked: dict[str, Any]  # what it is about, as it was asked for
    work: "Work" = field(repr=False)
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: JobState = "waiting"
    error: str = ""
    notes: list[str] = field(default_factory=list)
    files: dict[str, FileState] = field(default_factory=dict)
    going: Going = Going()
    result: dict[str, Any] | None = None
    created: float = field(default_factory=time.time)
    ended: float | None = None
    version: int = 0
    stop: threading.Event = field(default_factory=threading.Event, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def over(self) -> bool:
        return self.state in OVER

    def note(self, sentence: str) -> None:
        with self._lock:
            self.notes = [*self.notes, sentence]
            self.version += 1

    def file(self, name: str, state: str, done: int, size: int) -> None:
        with self._lock:
            self.files = {**self.files, name: FileState(state, done, size)}
            self.version += 1

    def progress(self, done: float, left_s: float | None, doing: str, row: str) -> None:
        with self._lock:
            self.going = Going(done, left_s, doing, row)
            self.version += 1

    def end(self, state: JobState, error: str = "") -> None:
        with self._lock:
            self.error, self.ended = error, time.time()
            self.state = state  # last: who sees it sees the rest, too
            self.version += 1


Work = Callable[[Job], dict[str, Any]]


class Jobs:
    """Of one server. Threads start when there is something to do, and end with it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._queues: dict[Kind, deque[Job]] = {kind: deque() for kind in get_args(Kind)}
        self._threads: dict[Kind, threading.Thread] = {}
        self._closed = False

    def begin(self, kind: Kind, asked: dict[str, Any], work: Work) -> Job:
        """A new one, or the one that was asked for likewise and has not ended. Raises EngineBusy, EngineClosed."""
        with self._lock:
            if self._closed:
                raise EngineClosed
            for job in self._jobs.values():
                if (job.kind, job.asked, job.over, job.stop.is_set()) == (kind, asked, False, False):
                    return job
            if len(self._queues[kind]) >= _WAITING:
                raise EngineBusy(len(self._queues[kind]))
            if kind not in self._threads:
                thread = threading.Thread(target=self._run, args=(kind,), name=f"library {kind}", daemon=True)
                thread.start()  # it waits for the lock; where it does not start, nothing was begun
                self._threads[kind] = thread
            job = Job(kind, asked, work)
            self._jobs[job.id] = job
            self._queues[kind].append(job)
            self._forget()
            return job

    def listed(self, kind: Kind) -> list[Job]:
        """The latest first."""
        with self._lock:
            return [job for job in reversed(self._jobs.values()) if job.kind == kind]

    def find(self, kind: Kind, id: str) -> Job:
        job = self._jobs.get(id)
        if job is None or job.kind != kind:
            raise UnknownJob(id)
        return job

    def stop(self, job: Job) -> None:
        """One that runs ends soon; one that waits ends now."""
        with self._lock:
            job.stop.set()
            if job.state == "waiting":
                self._queues[job.kind].remove(job)
                job.end("stopped")

    def stop_all(self) -> None:
        """They end soon, and no other can begin."""
        with self._lock:
            self._closed = True
            jobs = [job for job in self._jobs.values() if not job.over]
        for job in jobs:
            self.stop(job)

    def close(self) -> None:
        """Stop all. Returns when they have ended, or after a moment: their threads hold nobody up."""
        self.stop_all()
        with self._lock:
            threads = list(self._threads.values())
        until = time.monotonic() + _PARTING_S
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _run(self, kind: Kind) -> None:
        try:
            while job := self._next(kind):
                _do(job)
        finally:  # it may have died of a job: the next one to be begun starts another
            with self._lock:
                if self._threads.get(kind) is threading.current_thread():
                    del self._threads[kind]

    def _next(self, kind: Kind) -> Job | None:
        with self._lock:
            if not self._queues[kind]:
                del self._threads[kind]  # with the look at the queue: what is begun after it starts a thread
                return None
            job = self._queues[kind].popleft()
            job.state = "running"
            job.version += 1
            return job

    def _forget(self) -> None:
        over = [job.id for job in self._jobs.values() if job.over]
        for id in over[: max(0, len(over) - _KEPT)]:
            del self._jobs[id]


def _do(job: Job) -> None:
    try:
        job.result = job.work(job)
        stopped = job.stop.is_set() and job.result.get("unfinished", False)  # it kept what was done
        job.end("stopped" if stopped else "done")
    except Exception as error:  # the job ends here: who watches it hears of it
        if job.stop.is_set():
            job.end("stopped")
            return
        if not isinstance(error, GgufrunError):
            _log.exception("A job failed: %s %s.", job.kind, job.asked)
        job.end("failed", sentence(error))
    except BaseException as error:  # sys.exit, say: it ends the job, not those that wait
        _log.error("A job ended its thread: %s %s.", job.kind, job.asked, exc_info=error)
        job.end("failed", "The server failed; its log has the details.")
