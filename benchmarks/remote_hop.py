"""What a hop through ggufrun costs: a remote engine asked directly, and through `ggufrun serve --remote`.

usage: python -m benchmarks.remote_hop [scripted|flat|llama-server|ggufrun …] [--rounds N]

`scripted` sends 50 tokens a second in each stream, from a timer, so that nothing but the hop takes the processor;
`flat` sends them as fast as it can; with the others the model and the hop share the cores. Who goes first changes from
round to round; a figure is the median, and a ratio the median of the rounds' ratios.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import psutil

from benchmarks.load import MORE_TOPICS, STORY
from benchmarks.peer import ensure_peer
from benchmarks.scripted_remote import MODEL
from benchmarks.servers import Contender, Server, running
from ggufrun.store.resolve import resolve

TOKENS = 128  # of each of the streams
STREAMS = 16
SHORT = 2  # tokens, where the time to the first is looked at
FRONT = "fast"


@dataclass(frozen=True, slots=True)
class Timed:
    """One answer. Seconds."""

    ttft: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Round:
    """Both ways once. `busy` is the processor's time of the server in front, for a token."""

    direct_ttft_ms: float
    through_ttft_ms: float
    direct_tok_s: float
    through_tok_s: float
    direct_16_ttft_ms: float
    through_16_ttft_ms: float
    busy_us: float


class Caller:
    """Of one server and one model. It looks at bytes only: reading JSON would take the cores from what is measured."""

    def __init__(self, base: str, model: str) -> None:
        self._http = httpx.AsyncClient(base_url=base, timeout=120, trust_env=False)
        self._model = model

    async def close(self) -> None:
        await self._http.aclose()

    async def ask(self, text: str, tokens: int) -> Timed:
        messages = [{"role": "user", "content": text}]
        body = {"model": self._model, "messages": messages, "max_tokens": tokens, "temperature": 0, "stream": True}
        body |= {"stream_options": {"include_usage": True}}
        try:
            return await self._asked(body)
        except httpx.RemoteProtocolError:  # a kept-alive connection that the server had closed
            return await self._asked(body)

    async def _asked(self, body: dict[str, Any]) -> Timed:
        start, first, seen = time.perf_counter(), 0.0, b""
        async with self._http.stream("POST", "/v1/chat/completions", json=body) as response:
            response.raise_for_status()
            async for piece in response.aiter_raw():
                if not first:
                    seen += piece
                    if _has_text(seen):
                        first = time.perf_counter()
                seen = seen[-2000:] + piece if first else seen
        if b'"error"' in seen or not first:
            raise SystemExit(f"the answer failed: {seen!r}")
        return Timed(first - start, _tokens(seen))

    async def many(self) -> tuple[float, float]:
        """Tokens a second of 16 streams, and the median time to their first tokens."""
        start = time.perf_counter()
        answers = await asyncio.gather(*[self.ask(f"{STORY} Mention {topic}.", TOKENS) for topic in MORE_TOPICS])
        wall = time.perf_counter() - start
        return sum(each.tokens for each in answers) / wall, statistics.median(each.ttft for each in answers)

    async def first(self) -> float:
        """The median time to the first token of one stream alone."""
        return statistics.median([(await self.ask("Say hello.", SHORT)).ttft for _ in range(12)])


def _has_text(seen: bytes) -> bool:
    for line in seen.split(b"\n"):
        if line.startswith(b"data: {") and line.endswith(b"}"):
            for choice in json.loads(line[6:]).get("choices", ()):
                if choice["delta"].get("content"):
                    return True
    return False


def _tokens(seen: bytes) -> int:
    for line in reversed(seen.split(b"\n")):
        if line.startswith(b"data: {") and b'"usage"' in line and (usage := json.loads(line[6:]).get("usage")):
            return int(usage["completion_tokens"])
    return 0


async def measured(direct: Caller, through: Caller, front: Server, number: int) -> Round:
    process = psutil.Process(front.process.pid)
    ways = [direct, through] if number % 2 == 0 else [through, direct]
    ttft = {way: await way.first() for way in ways}
    speed, busy = {}, 0.0
    for way in ways:
        before = process.cpu_times()
        speed[way] = await way.many()
        after = process.cpu_times()
        if way is through:
            busy = after.user + after.system - before.user - before.system
    return Round(
        1e3 * ttft[direct],
        1e3 * ttft[through],
        speed[direct][0],
        speed[through][0],
        1e3 * speed[direct][1],
        1e3 * speed[through][1],
        1e6 * busy / (STREAMS * TOKENS),
    )


async def rounds(remote: Server, front: Server, count: int) -> list[Round]:
    direct, through = Caller(remote.base, remote.model), Caller(front.base, FRONT)
    try:
        await measured(direct, through, front, 0)  # warms both up
        return [await measured(direct, through, front, number) for number in range(count)]
    finally:
        await direct.close()
        await through.close()


def report(name: str, found: Sequence[Round]) -> str:
    def median(figure: str) -> float:
        return float(statistics.median(getattr(each, figure) for each in found))

    ratios = sorted(each.through_tok_s / each.direct_tok_s for each in found)
    more = sorted(each.through_ttft_ms - each.direct_ttft_ms for each in found)
    more16 = statistics.median(each.through_16_ttft_ms - each.direct_16_ttft_ms for each in found)
    one = f"first token of one stream {median('direct_ttft_ms'):.1f} ms directly, {statistics.median(more):+.1f} ms"
    many = f"{STREAMS} streams {median('direct_tok_s'):.0f} tok/s directly, {statistics.median(ratios):.3f} times that"
    return (
        f"{name}: {one} through ({more[0]:+.1f} to {more[-1]:+.1f}); {many} through ({ratios[0]:.3f} to"
        f" {ratios[-1]:.3f}), first tokens {more16:+.1f} ms; the hop takes {median('busy_us'):.0f} us of a core a token"
    )


def contender(name: str) -> Contender:
    """The remote. Raises SystemExit for a name that is none."""
    python = sys.executable
    if name in ("scripted", "flat"):
        return Contender(
            name, (python, "-m", "benchmarks.scripted_remote", "{port}", "50" if name == "scripted" else "0"), MODEL
        )
    demo = resolve("demo").path
    if name == "llama-server":
        command = (str(ensure_peer()), "-m", str(demo), "--host", "127.0.0.1", "--port", "{port}", "-np", str(STREAMS))
        return Contender(name, (*command, "--kv-unified", "-c", "8192", "--no-ui"), demo.name)
    if name == "ggufrun":
        serve = (python, "-m", "ggufrun", "serve", str(demo), "--no-ui", "--port", "{port}", "--context", "8192")
        return Contender(name, (*serve, "--parallel", str(STREAMS)), "default")
    raise SystemExit(f"there is no remote {name!r}")


@contextlib.contextmanager
def both(name: str) -> Iterator[tuple[Server, Server]]:
    with running(contender(name)) as remote:
        remote.model = httpx.get(f"{remote.base}/v1/models", trust_env=False).json()["data"][0]["id"]
        command = (sys.executable, "-m", "ggufrun", "serve", "--no-ui", "--port", "{port}")
        with running(Contender("front", (*command, "--remote", f"{FRONT}={remote.base}/v1"), FRONT)) as front:
            yield remote, front


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("remotes", nargs="*", default=["scripted", "flat", "llama-server"])
    parser.add_argument("--rounds", type=int, default=7)
    chosen = parser.parse_args()
    for name in chosen.remotes:
        with both(name) as (remote, front):
            print(report(name, asyncio.run(rounds(remote, front, chosen.rounds))), flush=True)


if __name__ == "__main__":
    main()
