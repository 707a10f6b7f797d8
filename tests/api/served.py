"""Starts `ggufrun serve` as a user would, on a free port of the loopback, and talks to it over real sockets."""

import json
import signal
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.listening import address_of
from tests.program import at_home
from tests.warm_server import Process, started


@dataclass
class Served:
    process: Process
    client: httpx.Client
    log: list[str] = field(default_factory=list)

    def chat(self, text: str, **body: Any) -> httpx.Response:
        messages = [{"role": "user", "content": text}]
        return self.client.post("/v1/chat/completions", json={"messages": messages, "temperature": 0, **body})

    def stream(self, messages: list[dict[str, str]], **body: Any) -> Iterator[dict[str, Any]]:
        """The chunks of a streamed answer; the last thing on the wire must be [DONE]."""
        sent = {"messages": messages, "temperature": 0, "stream": True, **body}
        with self.client.stream("POST", "/v1/chat/completions", json=sent) as response:
            assert response.status_code == 200, response.read()
            lines = [line for line in response.iter_lines() if line]
        assert lines[-1] == "data: [DONE]"
        for line in lines[:-1]:
            if not line.startswith(":"):
                yield json.loads(line.removeprefix("data: "))

    def active(self) -> int:
        """Requests that are answered, or wait for their model."""
        lines = self.client.get("/metrics").raise_for_status().text.splitlines()
        return sum(int(float(line.split()[-1])) for line in lines if line.startswith("ggufrun_active_requests{"))

    def worker(self) -> psutil.Process:
        """The engine's process."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if "ggufrun.engine.worker" in " ".join(child.cmdline()))


def text_of(chunks: list[dict[str, Any]]) -> str:
    return "".join(c["delta"].get("content", "") for chunk in chunks for c in chunk["choices"])


@contextmanager
def served(
    model: str | Path,
    home: Path,
    *options: str,
    verify: ssl.SSLContext | bool = True,
    page: bool = False,
    warm: bool = True,
    **environment: str,
) -> Iterator[Served]:
    """A server with its data in `home`, ended with SIGTERM. `page`: with the page.

    Without `warm` it imports what it needs anew, which takes seconds.
    """
    options = options if page else (*options, "--no-ui")
    with (
        serving([str(model), *options], home, warm=warm, **environment) as (process, address, log),
        httpx.Client(base_url=address, timeout=120, verify=verify) as client,
    ):
        yield Served(process, client, log)


@contextmanager
def serving(
    options: Sequence[str], home: Path, *, warm: bool = True, **environment: str
) -> Iterator[tuple[Process, str, list[str]]]:
    """`ggufrun serve` on a free port: the process, its address, and the lines of its standard error so far."""
    process = started(["serve", "--port", "0", *options], at_home(home, **environment), warm=warm)
    try:
        yield process, *address_of(process, r"https?://\S+?(?=/v1)")
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
