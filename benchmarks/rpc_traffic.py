"""One model over two processes by llama.cpp's RPC: bytes through the network, and tokens a second over slower links.

`python -m benchmarks.rpc_traffic` (the demo model, a worker beside it, a proxy between that counts and delays). It says
what the output layer here, and not on the worker, is worth. Two machines and GPUs are not measured by it.
"""

import argparse
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

from ggufrun.engine.backend import Run
from ggufrun.fit.network import LINKS
from ggufrun.fit.workers import OUTPUT_HERE
from ggufrun.llama.backend import LlamaBackend
from ggufrun.rpc.address import Address
from ggufrun.rpc.wire import WorkerFault, greet
from ggufrun.settings import EngineSettings, ModelOverrides, ModelSettings
from ggufrun.store.resolve import resolve
from ggufrun.userconfig import data_folder

PROMPT: Final = 100
CHUNK: Final = 1 << 16


@dataclass
class Way:
    """One direction: bytes that passed, and how fast they may; they arrive in order, after the delay."""

    rate: float = 0.0  # bytes a second; 0: as they come
    delay_s: float = 0.0
    passed: int = 0

    def carry(self, source: socket.socket, target: socket.socket) -> None:
        """Until `source` ends, which ends `target`."""
        under_way: SimpleQueue[tuple[float, bytes]] = SimpleQueue()  # with when it arrives
        threading.Thread(target=_arrive, args=(under_way, target), daemon=True).start()
        free = 0.0  # when the last byte so far has left
        with suppress(OSError):
            while data := source.recv(CHUNK):
                self.passed += len(data)
                free = max(free, time.perf_counter()) + (len(data) / self.rate if self.rate else 0.0)
                under_way.put((free + (self.delay_s if self.rate else 0.0), data))
        under_way.put((0.0, b""))


def _arrive(under_way: SimpleQueue[tuple[float, bytes]], target: socket.socket) -> None:
    with suppress(OSError):  # it has left: then nobody waits for the rest
        while (one := under_way.get())[1]:
            time.sleep(max(0.0, one[0] - time.perf_counter()))
            target.sendall(one[1])
        target.shutdown(socket.SHUT_RDWR)


class Cable:
    """Everything to `port` goes through it."""

    def __init__(self, port: int) -> None:
        self.there, self.back, self._port = Way(), Way(), port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            near, _ = self._server.accept()
            far = socket.create_connection(("127.0.0.1", self._port))
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for way, source, target in ((self.there, near, far), (self.back, far, near)):
                threading.Thread(target=way.carry, args=(source, target), daemon=True).start()


def worker() -> tuple["subprocess.Popen[str]", int]:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        port = int(trial.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "ggufrun.llama.rpc_server"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    assert process.stdin is not None
    asked = {"endpoint": f"127.0.0.1:{port}", "devices": [], "threads": 1, "cache": None, "memory": None}
    process.stdin.write(json.dumps(asked) + "\n")
    process.stdin.flush()
    for _ in range(200):
        try:
            greet(Address("127.0.0.1", port), None)
            return process, port
        except WorkerFault:
            time.sleep(0.1)
    raise SystemExit("the worker does not come up")


def measured(model: ModelSettings, tokens: int, cable: Cable, link: tuple[str, float, float]) -> Sequence[str]:
    """One row: bytes of the load, of the prompt, and of a token in each direction, and tokens a second."""
    ways = (cable.there, cable.back)

    def passed() -> list[int]:
        return [way.passed for way in ways]

    for way in ways:
        way.rate = 0.0
    before = passed()
    backend = LlamaBackend.load(model, EngineSettings(parallel=1))
    loaded = passed()
    prompt = [(index * 37) % 40_000 + 5 for index in range(PROMPT)]
    backend.decode([Run(0, 0, prompt, 1)])
    token = int(backend.logits(0).argmax())
    prompted = passed()
    for way in ways:
        way.rate, way.delay_s = link[1], link[2] / 2
    start = time.perf_counter()
    for index in range(tokens):
        backend.decode([Run(0, PROMPT + index, [token], 1)])
        token = int(backend.logits(0).argmax())
    took, after = time.perf_counter() - start, passed()
    for way in ways:
        way.rate = 0.0
    backend.close()
    each = [(last - first) / tokens for first, last in zip(prompted, after, strict=True)]
    load, ask = loaded[0] - before[0], prompted[0] - loaded[0]
    return (f"{load / 1e6:.1f} MB", f"{ask / 1e3:.0f} kB", f"{each[0] / 1e3:.1f} kB", f"{each[1] / 1e3:.1f} kB",
            f"{tokens / took:.1f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=64)
    asked = parser.parse_args()
    path = resolve("demo", data_folder({})).path
    process, port = worker()
    cable = Cable(port)
    ways = {
        "one process": ModelOverrides(),
        "all there, output here": ModelOverrides(rpc=(cable.address,), override_tensors=(OUTPUT_HERE,)),
        "all there": ModelOverrides(rpc=(cable.address,)),
        "half there": ModelOverrides(rpc=(cable.address,), gpu_layers=16),
    }
    try:
        print("where | link | load | prompt there | token there | token back | tok/s")
        for name, overrides in ways.items():
            same = ModelOverrides(context=2048, threads=1, flash_attention="on")
            settings = ModelSettings(path, **ModelOverrides(**{**same, **overrides}))
            links = [("loopback", 0.0, 0.0), *LINKS] if "rpc" in overrides else [("", 0.0, 0.0)]
            for link in links:
                print(" | ".join((name, link[0], *measured(settings, asked.tokens, cable, link))), flush=True)
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
