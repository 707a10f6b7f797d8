"""Starting and stopping the servers that are compared, and watching their memory. Ends only what it started."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

START_S = 180.0


@dataclass(frozen=True, slots=True)
class Contender:
    """A server's name in the report and its command; `{port}` in it is replaced."""

    name: str
    command: tuple[str, ...]
    model: str = "default"


@dataclass(slots=True)
class Server:
    process: subprocess.Popen[bytes]
    base: str
    model: str
    peak_rss: int = 0  # bytes, over the process and its children, pages shared between them counted in each
    peak_pss: int = 0  # bytes, pages shared between them counted once; 0 where the system does not tell
    _done: threading.Event = field(default_factory=threading.Event)

    def family(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def watch(self) -> None:
        """Note the peak memory until the server is stopped."""
        while not self._done.wait(0.2):
            with contextlib.suppress(psutil.Error):
                full = [process.memory_full_info() for process in self.family()]
                self.peak_rss = max(self.peak_rss, sum(memory.rss for memory in full))
                self.peak_pss = max(self.peak_pss, sum(getattr(memory, "pss", 0) for memory in full))

    def stop(self) -> None:
        self._done.set()
        family = self.family()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(30)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(10)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_ready(process: subprocess.Popen[bytes], base: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{base}/health", timeout=5, trust_env=False).status_code == 200:
                return
        time.sleep(0.05)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise SystemExit(f"{process.args!r} did not get ready:\n{tail}")


@contextlib.contextmanager
def running(contender: Contender, cache: Path | None = None, memory: bool = False) -> Iterator[Server]:
    """A started server, ready for requests. `cache` is its user cache folder; None is a fresh one, gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        env: Mapping[str, str] = os.environ | {"XDG_CACHE_HOME": str(cache or folder)}
        port, log = free_port(), Path(folder) / "log"
        command = [part.replace("{port}", str(port)) for part in contender.command]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env)
        server = Server(process, f"http://127.0.0.1:{port}", contender.model)
        try:
            wait_ready(process, server.base, log)
            if memory:
                threading.Thread(target=server.watch, daemon=True).start()
            yield server
        finally:
            server.stop()
