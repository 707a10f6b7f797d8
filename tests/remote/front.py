"""`ggufrun serve` in front of remotes, as a user starts it, and what talks to it: both SDKs, and bare HTTP"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from mistralai.client import Mistral
from openai import OpenAI

from tests.api.served import serving
from tests.program import at_home
from tests.warm_server import Process

START_S = 120.0
END_S = 60.0
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 12}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER_TOOL = {"type": "function", "function": {"name": "weather", "description": "Weather.", "parameters": CITY}}
CLOCK_TOOL = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


@dataclass
class Front:
    """A running one. `said`: the lines of its standard error so far."""

    address: str
    process: Process
    said: list[str]
    home: Path

    def openai(self) -> Any:  # its TypedDicts refuse plain dicts
        return OpenAI(base_url=f"{self.address}/v1", api_key="local", max_retries=0, timeout=300)

    def mistral(self) -> Any:  # as above
        return Mistral(api_key="local", server_url=self.address, timeout_ms=300_000)

    def post(self, **body: Any) -> httpx.Response:
        return httpx.post(f"{self.address}/v1/chat/completions", json=body, timeout=300, trust_env=False)

    def active(self) -> int:
        """Requests that are answered now."""
        text = httpx.get(f"{self.address}/metrics", timeout=30, trust_env=False).raise_for_status().text
        lines = (line for line in text.splitlines() if line.startswith("ggufrun_active_requests{"))
        return sum(int(float(line.split()[-1])) for line in lines)

    def never_said(self, secret: str) -> None:
        """In no line of its log, and in no file that it has written."""
        assert secret not in "".join(self.said)
        for path in self.home.rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), path


@contextlib.contextmanager
def front(home: Path, *options: str, settings: str = "", **environment: str) -> Iterator[Front]:
    """`settings`: its ggufrun.toml. It is ended with SIGTERM."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "ggufrun.toml").write_text(settings, encoding="utf-8")
    with serving(["--no-ui", *options], home, warm=True, **environment) as (process, address, said):
        yield Front(address, process, said, home)


def refused(home: Path, *options: str, settings: str = "", **environment: str) -> str:
    """What a server says that does not start."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "ggufrun.toml").write_text(settings, encoding="utf-8")
    command = [sys.executable, "-m", "ggufrun", "serve", "--port", "0", "--no-ui", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=START_S, env=at_home(home, **environment))
    assert ended.returncode not in (0, 1) or "Traceback" not in ended.stderr, ended.stderr
    assert ended.returncode != 0, ended.stderr
    return ended.stderr + ended.stdout


def until(what: Callable[[], bool], why: str, seconds: float = END_S) -> None:
    """Wait for an end state."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {why}"
        time.sleep(0.05)


@contextlib.contextmanager
def program(
    command: list[str], log: Path, health: str, seconds: float = START_S, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """A remote engine in a process of its own, ready; killed at the end if it is not dead by then."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=os.environ | environment)
    family: list[psutil.Process] = []
    try:
        until(lambda: process.poll() is not None or _healthy(health), f"{command[0]} is ready", seconds)
        assert process.poll() is None, log.read_text(errors="replace")[-3000:]
        family = _family(process.pid)  # now: where a test kills the parent, nobody knows its children any more
        yield process
    finally:
        family += _family(process.pid)
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:  # vLLM waits for ever where its engine has died
            process.kill()
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait(30)


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _healthy(address: str) -> bool:
    try:
        return httpx.get(address, timeout=60, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
