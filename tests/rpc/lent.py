"""What the tests of RPC share: a worker as a user starts it, and servers that answer its port with something else."""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from tests.program import ROOT, free_port

READY_S: Final = 60
HELLO: Final = struct.Struct("<QBBBx24s")  # a length, and what a server says to HELLO


class LentMachine:
    """`ggufrun rpc-worker` on a port of its own. Started by `with`, killed with all that it started at the end."""

    def __init__(self, *options: str, port: int | None = None, prefix: tuple[str, ...] = ()) -> None:
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.said: list[str] = []
        listen = () if "--listen" in options else ("--listen", self.address)
        self._command = [*prefix, sys.executable, "-m", "ggufrun", "rpc-worker", *listen, "--threads", "1", *options]

    def __enter__(self) -> "LentMachine":
        self.process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        threading.Thread(target=self._hear, daemon=True).start()
        self.until(lambda: any("RPC worker at" in line for line in self.said))
        return self

    def __exit__(self, *_: object) -> None:
        servers = self._children()
        self.process.kill()
        for server in servers:
            server.kill()  # a stopped one does not see its parent's end
        self.process.wait(60)

    def until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + READY_S
        while not happened():
            assert time.monotonic() < end and self.process.poll() is None, "\n".join(self.said)
            time.sleep(0.02)

    def server(self) -> psutil.Process:
        """The process that has the model's part."""
        return self._children()[0]

    def kill(self) -> None:
        """The whole machine is gone."""
        servers = self._children()
        self.process.kill()
        self.process.wait(60)
        for server in servers:
            server.kill()
            server.wait(60)

    def pause(self) -> None:
        os.kill(self.server().pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.server().pid, signal.SIGCONT)

    def _children(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _hear(self) -> None:
        for line in self.process.stderr or ():
            self.said.append(line.rstrip())


@contextmanager
def answering(reply: bytes, *, closes: bool = False) -> Iterator[str]:
    """A server that sends the same to everyone once they have said something; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            kept = []
            while True:
                try:
                    connection, _ = server.accept()
                    connection.recv(64)
                    connection.sendall(reply)
                except OSError:
                    return
                if closes:
                    connection.close()
                kept.append(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def source_of(folder: Path, protocol: tuple[int, int, int] = (7, 0, 0)) -> Path:
    """Files where llama-cpp-python's source has them, with nothing of use in them."""
    ggml = folder / "vendor/llama.cpp/ggml"
    for name in ("include/ggml.h", "src/ggml-impl.h", "src/ggml-rpc/transport.cpp", "src/ggml-rpc/transport.h"):
        (ggml / name).parent.mkdir(parents=True, exist_ok=True)
        (ggml / name).write_text("// nothing\n")
    (ggml / "src/ggml-rpc/ggml-rpc.cpp").write_text("this is no C++\n")
    (ggml / "src/ggml.c").write_text("not needed\n")
    names = zip(("MAJOR", "MINOR", "PATCH"), protocol, strict=True)
    (ggml / "include/ggml-rpc.h").write_text("".join(f"#define RPC_PROTO_{n}_VERSION  {v}\n" for n, v in names))
    return folder
