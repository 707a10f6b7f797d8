"""A worker on this machine: llama.cpp's RPC server in a child process, started again with a pause where it ends."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from ggufrun.child import child_environment, last_words, listen
from ggufrun.errors import EngineError, GgufrunError, OptionError
from ggufrun.llama import rpc_library
from ggufrun.llama.rpc_server import EXIT_REFUSED
from ggufrun.rpc.address import Address
from ggufrun.rpc.wire import Greeting, greet

MODULE: Final = "ggufrun.llama.rpc_server"
_DELAYS_S: Final = (0.2, 1.0, 2.0, 5.0, 10.0)  # after crashes in a row
_RAN_WELL_S: Final = 60.0
_READY_S: Final = 60.0  # a GPU's driver may take its time
_TAIL: Final = 8192  # characters of the child's standard error that are kept

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered, and where. `memory`: bytes that clients are told of, at most."""

    endpoint: str  # "192.168.1.20:50052"
    devices: tuple[str, ...] = ()
    threads: int | None = None
    cache: Path | None = None
    memory: int | None = None


def check_port(endpoint: str) -> None:
    """Raises OptionError where nobody can listen there."""
    host, port = endpoint.rsplit(":", 1)
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as llama.cpp does
        try:
            trial.bind((host, int(port)))
            trial.listen(1)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            hint = "Choose another port, or an address of this machine."
            raise OptionError(f"Nobody can listen on {endpoint}: {reason}.", hint) from error


class Worker:
    """`run` blocks until SIGTERM or SIGINT, and returns; `say` has a line for people. For the main thread."""

    def __init__(self, offer: Offer, say: Say) -> None:
        """Raises OptionError where there is no RPC, or the address cannot be had."""
        rpc_library.protocol()
        check_port(offer.endpoint)
        if offer.cache is not None:
            offer.cache.mkdir(parents=True, exist_ok=True)
        self._offer, self._say = offer, say
        self._ended = threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self._tail = ""

    def run(self) -> None:
        """Raises EngineError or OptionError where it does not come up at all."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        crashes, was_ready = 0, False
        while not self._ended.is_set():
            begun = time.monotonic()
            reader = self._start()
            if not was_ready:
                self._say(self._described(self._ready()))
                was_ready = True
            code = self._wait()
            reader.join(1)
            if self._ended.is_set():
                return
            crashes = 0 if time.monotonic() - begun > _RAN_WELL_S else crashes
            pause = _DELAYS_S[min(crashes, len(_DELAYS_S) - 1)]
            crashes += 1
            self._say(f"the RPC server ended ({_how(code)}{last_words(self._tail)}); it starts again in {pause:g} s")
            self._ended.wait(pause)

    def _start(self) -> threading.Thread:
        self._tail = ""
        child = self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE],  # -P: the current directory is the user's
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # a line for each client that comes and goes
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            env=child_environment() | {"GGML_NO_BACKTRACE": "1"},
            start_new_session=True,  # Ctrl-C is for us
        )
        asked = {
            "endpoint": self._offer.endpoint,
            "devices": self._offer.devices,
            "threads": self._offer.threads,
            "cache": None if self._offer.cache is None else str(self._offer.cache),
            "memory": self._offer.memory,
        }
        if child.stdin is not None:
            with suppress(OSError):  # it has ended already, and that is seen
                child.stdin.write(json.dumps(asked) + "\n")
                child.stdin.flush()
        if self._ended.is_set():
            child.kill()
        return listen(child.stderr, self._hear)

    def _ready(self) -> Greeting | None:
        """What it says to us, its first client. None: it was told to end. Raises EngineError or OptionError."""
        end = time.monotonic() + _READY_S
        fault: GgufrunError = EngineError("The RPC server does not come up.", "See what it says with --debug.")
        while time.monotonic() < end and not self._ended.is_set():
            code = None if self._child is None else self._child.poll()
            if code is not None:
                time.sleep(0.1)  # its last words are on their way
                words = self._tail.strip().splitlines()[-1:] or [_how(code)]
                if code == EXIT_REFUSED:
                    raise OptionError(words[0])
                raise EngineError(f"The RPC server does not come up: {words[0]}.", "Does `ggufrun doctor` find why?")
            try:
                return greet(Address.read(self._reachable()), None)
            except GgufrunError as error:
                fault = error
                self._ended.wait(0.1)
        if self._ended.is_set():
            return None
        self._kill()
        raise fault

    def _reachable(self) -> str:
        host, port = self._offer.endpoint.rsplit(":", 1)
        return f"{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"

    def _described(self, greeting: Greeting | None) -> str:
        if greeting is None:
            return "ended before it was ready"
        from ggufrun.figures import gib

        sizes = ", ".join(f"{gib(device.free)} free of {gib(device.total)}" for device in greeting.devices)
        count = len(greeting.devices)
        version = ".".join(map(str, greeting.protocol))
        return (
            f"RPC worker at {self._offer.endpoint}: {count} device{'s' * (count > 1)} ({sizes}); "
            f"llama-cpp-python {rpc_library.version()}, RPC version {version}. Ctrl-C ends it."
        )

    def _wait(self) -> int:
        child = self._child
        return 0 if child is None else child.wait()

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._ended.set()
        self._kill()

    def _kill(self) -> None:
        if self._child is not None:
            self._child.kill()  # it holds nothing that could be lost

    def _hear(self, line: str) -> None:
        self._tail = (self._tail + line)[-_TAIL:]


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"
