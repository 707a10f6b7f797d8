"""Many clients at once: every stream ends properly, nothing is left behind, and memory stays where it was."""

import asyncio
import json
import random
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from tests.api.served import Served, served

pytestmark = pytest.mark.model

TOPICS = ("tea", "the sea", "winter", "bread", "a clock")


@dataclass
class Tally:
    ends: Counter[str] = field(default_factory=Counter)
    ttfts: list[float] = field(default_factory=list)


async def one_client(http: httpx.AsyncClient, number: int, until: float, tally: Tally) -> None:
    """Streams one answer after the other; leaves the third part of them in the middle."""
    chance = random.Random(number)
    while time.monotonic() < until:
        prompt = f"Client {number}: tell me {chance.choice(('a story', 'a fact'))} about {chance.choice(TOPICS)}."
        body = {"messages": [{"role": "user", "content": prompt}], "stream": True, "max_tokens": chance.randint(4, 24)}
        leave_at = chance.randint(1, 12) if chance.random() < 1 / 3 else None
        tally.ends[await one_answer(http, body, leave_at, tally)] += 1


async def one_answer(http: httpx.AsyncClient, body: dict[str, object], leave_at: int | None, tally: Tally) -> str:
    start, pieces, finished = time.monotonic(), 0, ""
    async with http.stream("POST", "/v1/chat/completions", json=body) as response:
        if response.status_code != 200:
            return f"HTTP {response.status_code}"
        async for line in response.aiter_lines():
            if line == "data: [DONE]":
                return finished or "no finish reason"
            if line.startswith("data: "):
                choice = json.loads(line[6:])["choices"][0]
                finished = choice["finish_reason"] or finished
                pieces += 1
                if pieces == 1:
                    tally.ttfts.append(time.monotonic() - start)
                if pieces == leave_at:
                    return "left"
    return "cut"


async def storm(server: Served, clients: int, seconds: float) -> Tally:
    tally = Tally()
    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=server.client.base_url, timeout=120, limits=limits) as http:
        until = time.monotonic() + seconds
        await asyncio.gather(*(one_client(http, number, until, tally) for number in range(clients)))
    return tally


def memory(server: Served) -> int:
    """Bytes of the server and its worker."""
    return sum(each.memory_info().rss for each in (psutil.Process(server.process.pid), server.worker()))


def weather(server: Served, clients: int, seconds: float) -> None:
    asyncio.run(storm(server, clients, min(seconds, 4)))  # fills what is filled once: caches, allocators, the KV cache
    before = memory(server)
    tally = asyncio.run(storm(server, clients, seconds))
    grown = memory(server) - before
    ttft = statistics.median(tally.ttfts)
    ends = dict(tally.ends)
    print(f"{clients} clients, {seconds:g} s: {ends}, TTFT median {ttft:.2f} s, memory {grown / 2**20:+.1f} MiB")
    assert set(tally.ends) <= {"stop", "length", "left"}, tally.ends
    assert tally.ends["left"] and tally.ends["length"]
    deadline = time.monotonic() + 60
    while server.active() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.active() == 0
    assert grown < 64 << 20, f"{grown / 2**20:.0f} MiB"


def test_a_short_storm(demo_path: Path, tmp_path: Path) -> None:
    with served("demo", tmp_path, "--context", "4096") as server:
        weather(server, clients=12, seconds=2)


@pytest.mark.slow
def test_sixty_four_clients_for_a_minute(demo_path: Path, tmp_path: Path) -> None:
    with served("demo", tmp_path, "--context", "8192") as server:
        weather(server, clients=64, seconds=60)
