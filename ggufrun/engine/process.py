"""The worker as a child process: start it, send it messages, hear its messages, say how it ended. No policy."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BufferedReader, BufferedWriter
from typing import cast

from ggufrun.child import child_environment
from ggufrun.engine.messages import Fatal, FromWorker, Start, Stop, Submit, ToWorker, WorkerSettings
from ggufrun.engine.outbox import Outbox
from ggufrun.engine.pipe import FrameTooLarge, PipeClosed, PipeReader, PipeWriter
from ggufrun.engine.types import Failed

TAIL_BYTES = 8192  # of the worker's stderr, kept for error messages
REAP_S = 5.0  # from the end of its messages to its own end
_NO_MEMORY = re.compile(
    rb"out of memory|bad_alloc|insufficient memory|mem_buffer != NULL|(?:failed|unable) to allocate", re.I
)
_SIGNAL_WORDS = {
    "SIGKILL": "killed by the system or a user; often because memory ran out",
    "SIGABRT": "llama.cpp gave up",
    "SIGSEGV": "a memory fault in native code",
    "SIGBUS": "a memory fault in native code, or the model file was cut while in use",
    "SIGILL": "an instruction that this CPU lacks",
}


class WorkerProcess:
    """A running worker. Its methods may be called from any thread; the callbacks come from threads of its own."""

    def __init__(
        self,
        settings: WorkerSettings,
        heard: Callable[["WorkerProcess", Sequence[FromWorker]], None],
        ended: Callable[["WorkerProcess"], None],
        debug: bool = False,
    ) -> None:
        self._heard, self._ended, self._debug = heard, ended, debug
        self._tail = b""
        self._last_words = ""  # its own
        self._given_up = ""  # why we killed it
        self._outbox = Outbox()
        options = ["-X", "faulthandler"] if debug else []
        self._popen = subprocess.Popen(
            # -P: the current directory is the user's, and may hold a json.py
            [sys.executable, "-P", *options, "-m", "ggufrun.engine.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=worker_environment(),
        )
        self._stdin = cast(BufferedWriter, self._popen.stdin)
        self._stdout = cast(BufferedReader, self._popen.stdout)
        self._stderr = cast(BufferedReader, self._popen.stderr)
        self.send(Start(settings))
        try:
            self._thread(self._write, "outbox")
            self._errors = self._thread(self._read_errors, "stderr")
            self._reader = self._thread(self._read, "events")
        except RuntimeError as error:  # how Python says that the system gives no more threads
            self._discard()
            raise OSError(f"no thread for the worker's messages: {error}") from error

    @property
    def pid(self) -> int:
        return self._popen.pid

    def send(self, message: ToWorker) -> None:
        """Queue a message; never waits. Lost without an error if the worker has ended: `ended` tells."""
        self._outbox.put(message)

    def stop(self, patience: float) -> None:
        """Ask it to exit, wait up to `patience` seconds, then kill. Safe to call more than once."""
        self.send(Stop())
        try:
            self._popen.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill("it did not stop when it was asked to")
        self._reader.join(1)

    def kill(self, reason: str) -> None:
        """End it at once; `reason` is what `ending` will say."""
        self._given_up = self._given_up or reason
        self._popen.kill()
        self._popen.wait()

    def ending(self) -> str:
        """How it ended, e.g. "signal 9 (SIGKILL: killed by ...)"; with its own last line where it left one."""
        how = self._last_words or self._given_up or _ending(self._popen.returncode)
        lines = self._tail.decode("utf-8", "replace").strip().splitlines()
        last = lines[-1].strip()[:300] if lines and not self._last_words else ""
        return f"{how}; its last line was: {last}" if last else how

    @property
    def killed(self) -> bool:
        """Whether others ended it by SIGKILL, which is how Linux ends a process when memory runs out."""
        return sys.platform != "win32" and self._popen.returncode == -signal.SIGKILL and not self._given_up

    @property
    def starved(self) -> bool:
        """Whether its last words say that it got no memory: native code aborts then."""
        return not self._given_up and _NO_MEMORY.search(self._tail) is not None

    @property
    def given_up(self) -> bool:
        """Whether we ended it."""
        return bool(self._given_up)

    def _thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=target, name=f"worker-{self.pid}-{name}", daemon=True)
        thread.start()
        return thread

    def _write(self) -> None:
        writer = PipeWriter(self._stdin)
        try:
            self._outbox.send_all(writer, self._refuse)
        except PipeClosed:
            pass
        except Exception as error:  # where this thread ends: a worker that hears nothing more is lost
            self.kill(f"a message to it could not be sent ({type(error).__name__}: {error})")
        _close(self._stdin)

    def _refuse(self, message: Submit, error: FrameTooLarge) -> None:
        self._heard(self, [Failed(message.request.id, str(error))])

    def _read(self) -> None:
        try:
            self._listen()
        except PipeClosed:
            pass
        except Exception as error:  # where this thread ends: a worker that nobody hears is lost
            self.kill(f"a message of it could not be read ({type(error).__name__}: {error})")
        self._reap()

    def _listen(self) -> None:
        reader = PipeReader(self._stdout)
        while True:
            messages: Sequence[FromWorker] = reader.read()
            if isinstance(messages[-1], Fatal):
                self._last_words = messages[-1].message
            self._heard(self, messages)

    def _reap(self) -> None:
        try:
            self._popen.wait(REAP_S)
        except subprocess.TimeoutExpired:
            self.kill("it closed its pipe and did not exit")
        self._outbox.end()
        self._errors.join(1)
        _close(self._stdout)
        _close(self._stderr)
        self._ended(self)

    def _discard(self) -> None:
        """Leave nothing behind of a worker that could not be taken over."""
        self.kill("it could not be taken over")
        self._outbox.end()
        for file in (self._stdin, self._stdout, self._stderr):
            _close(file)

    def _read_errors(self) -> None:
        echo = self._debug
        try:
            while chunk := os.read(self._stderr.fileno(), 4096):
                self._tail = (self._tail + chunk)[-TAIL_BYTES:]
                echo = echo and _echo(chunk)  # reading goes on without: a full pipe would hold the worker up
        except (OSError, ValueError):
            pass  # closed under us


def _echo(chunk: bytes) -> bool:
    """Show the worker's words on our standard error; False where that is gone."""
    if sys.stderr is None:
        return False
    try:
        print(chunk.decode("utf-8", "replace"), end="", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        return False
    return True


def _close(file: BufferedReader | BufferedWriter) -> None:
    with suppress(OSError):  # what was still buffered has no reader any more
        file.close()


def worker_environment() -> dict[str, str]:
    single = {"OPENBLAS_NUM_THREADS": "1"}  # numpy starts a thread a core, with memory of its own, and none has work
    # llama.cpp's threads wait for each other by spinning, for some 14 ms with OpenMP's default: where another program
    # uses a core, that is many times slower (benchmarks/NOTES.md). Alone it makes no difference.
    waiting = {"GOMP_SPINCOUNT": "4000"}
    return {**single, **waiting, **child_environment(), "GGML_NO_BACKTRACE": "1"}


def _ending(status: int | None) -> str:
    if status is None:
        return "its pipe was closed"
    if status >= 0:
        return f"exit status {status:#x}" if status > 255 else f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
    words = _SIGNAL_WORDS.get(name)
    return f"signal {-status} ({name}: {words})" if words else f"signal {-status} ({name})"
