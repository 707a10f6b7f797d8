"""`ggufrun serve` with several tiny models, and the other commands beside it, as processes."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.listening import address_of
from tests.program import at_home
from tests.warm_program import run_warm
from tests.warm_server import Process, started


@dataclass
class Pooled:
    process: Process
    client: httpx.Client
    admin: httpx.Client  # with the key that the server left in its home
    home: Path
    log: list[str]

    def chat(self, model: str, **body: Any) -> httpx.Response:
        sent = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3, **body}
        return self.client.post("/v1/chat/completions", json=sent)

    def model(self, name: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.admin.get(f"/ggufrun/v1/models/{name}").raise_for_status().json()
        return answer

    def workers(self) -> int:
        return len(psutil.Process(self.process.pid).children())

    def ggufrun(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return command(self.home, *arguments)

    def until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not happened():
            assert time.monotonic() < end, self.admin.get("/ggufrun/v1/models").text + "".join(self.log)
            time.sleep(0.05)


def command(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_warm(*arguments, environment=at_home(home))


@contextmanager
def pooled(home: Path, *arguments: str, **environment: str) -> Iterator[Pooled]:
    """A server with its data in `home`; it is killed where the test has not ended it."""
    process = started(["serve", *arguments, "--port", "0", "--no-ui"], at_home(home) | environment)
    try:
        address, log = address_of(process, r"http://\S+?(?=/v1)")
        (place,) = (home / "run").glob("*.json")
        headers = {"Authorization": f"Bearer {json.loads(place.read_text())['token']}"}
        with (
            httpx.Client(base_url=address, timeout=60) as client,
            httpx.Client(base_url=address, timeout=60, headers=headers) as admin,
        ):
            yield Pooled(process, client, admin, home, log)
    finally:
        process.terminate()
        process.wait(60)


def states(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Names and states, out of `ggufrun ps --json`."""
    assert done.returncode == 0, done.stderr
    return {model["name"]: model["state"] for server in json.loads(done.stdout) for model in server["models"]}
