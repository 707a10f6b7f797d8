"""The worker as a child process: start it, send it messages, hear its messages, say how it ended. No policy."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BufferedReader, BufferedWriter
from queue import SimpleQueue
from typing import cast

from ggufrun.engine.messages import Fatal, FromWorker, Start, Stop, ToWorker, WorkerSettings
from ggufrun.engine.pipe import PipeClosed, PipeReader, PipeWriter

TAIL_BYTES = 8192  # of the worker's stderr, kept for error messages
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
        self._last_words = ""
        self._outbox: SimpleQueue[ToWorker | None] = SimpleQueue()
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
        self._thread(self._write, "outbox")
        self._errors = self._thread(self._read_errors, "stderr")
        self._reader = self._thread(self._read, "events")

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
            self.kill()
        self._reader.join(1)

    def kill(self) -> None:
        self._popen.kill()
        self._popen.wait()

    def ending(self) -> str:
        """How it ended, e.g. "signal 9 (SIGKILL: killed by ...)"; with its own last line where it left one."""
        how = self._last_words or _ending(self._popen.returncode)
        lines = self._tail.decode("utf-8", "replace").strip().splitlines()
        last = lines[-1].strip()[:300] if lines and not self._last_words else ""
        return f"{how}; its last line was: {last}" if last else how

    @property
    def killed(self) -> bool:
        """Whether it ended by SIGKILL, which is how Linux ends a process when memory runs out."""
        return sys.platform != "win32" and self._popen.returncode == -signal.SIGKILL

    def _thread(self, target: Callable[[], None], name: str) -> threading.Thread:
        thread = threading.Thread(target=target, name=f"worker-{self.pid}-{name}", daemon=True)
        thread.start()
        return thread

    def _write(self) -> None:
        writer = PipeWriter(self._stdin)
        try:
            while (message := self._outbox.get()) is not None:
                writer.write([message])
        except PipeClosed:
            pass
        _close(self._stdin)

    def _read(self) -> None:
        reader = PipeReader(self._stdout)
        try:
            while True:
                messages: Sequence[FromWorker] = reader.read()
                if isinstance(messages[-1], Fatal):
                    self._last_words = messages[-1].message
                self._heard(self, messages)
        except PipeClosed:
            pass
        self._reap()

    def _reap(self) -> None:
        try:
            self._popen.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
        self._outbox.put(None)
        self._errors.join(1)
        _close(self._stdout)
        _close(self._stderr)
        self._ended(self)

    def _read_errors(self) -> None:
        try:
            while chunk := os.read(self._stderr.fileno(), 4096):
                self._tail = (self._tail + chunk)[-TAIL_BYTES:]
                if self._debug:
                    sys.stderr.write(chunk.decode("utf-8", "replace"))
                    sys.stderr.flush()
        except (OSError, ValueError):
            pass  # closed under us


def _close(file: BufferedReader | BufferedWriter) -> None:
    with suppress(OSError):  # what was still buffered has no reader any more
        file.close()


def worker_environment() -> dict[str, str]:
    """The child imports from where this process does, as multiprocessing's do: a checkout works uninstalled."""
    path = os.pathsep.join(dict.fromkeys(entry or os.getcwd() for entry in sys.path))
    single = {"OPENBLAS_NUM_THREADS": "1"}  # numpy starts a thread a core, with memory of its own, and none has work
    # llama.cpp's threads wait for each other by spinning, for some 14 ms with OpenMP's default: where another program
    # uses a core, that is many times slower (benchmarks/NOTES.md). Alone it makes no difference.
    waiting = {"GOMP_SPINCOUNT": "4000"}
    return {**single, **waiting, **os.environ, "PYTHONPATH": path, "GGML_NO_BACKTRACE": "1"}


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
