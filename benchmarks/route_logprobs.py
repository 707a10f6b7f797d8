"""What judging by log-probability costs: one model asked itself, by a plain route, and by a route that may escalate.

usage: python -m benchmarks.route_logprobs [--rounds N] [--drafting]

Whole replies of 128 tokens, one stream and 8 at once. Nothing escalates: what is measured is that each answer comes
with its log-probabilities, and is held until it is judged. Drafts are off, for there are none where log-probabilities
are asked for; with `--drafting` they are on where they can be. The order changes from round to round; a figure is the
median, and a ratio the median of the rounds' ratios.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.load import STORY, TOPICS
from benchmarks.servers import Contender, Server, running
from ggufrun.store.resolve import resolve

TOKENS = 128
WAYS = ("itself", "plain", "judged")
ROUTES = """
[routes.plain]
engines = ["itself", "never"]
[routes.judged]
engines = ["itself", "never"]
[routes.judged.escalate]
min_logprob = -1000.0
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One way once. `busy_ms` is the processor's time of the server and its engine, for a token: it hardly depends on
    what else runs on the machine."""

    tok_s: float
    busy_ms: float


Round = dict[str, Measured]  # by way


async def _asked(http: httpx.AsyncClient, model: str, topic: str) -> int:
    messages = [{"role": "user", "content": f"{STORY} Mention {topic}."}]
    body = {"model": model, "messages": messages, "max_tokens": TOKENS, "temperature": 0}
    reply = await http.post("/v1/chat/completions", json=body)
    reply.raise_for_status()
    return int(reply.json()["usage"]["completion_tokens"])


async def _measured(http: httpx.AsyncClient, server: Server, way: str, topics: Sequence[str]) -> Measured:
    start, before = time.perf_counter(), _busy_s(server)
    tokens = sum(await asyncio.gather(*(_asked(http, way, topic) for topic in topics)))
    return Measured(tokens / (time.perf_counter() - start), 1e3 * (_busy_s(server) - before) / tokens)


def _busy_s(server: Server) -> float:
    times = [process.cpu_times() for process in server.family()]
    return sum(each.user + each.system for each in times)


async def _rounds(server: Server, count: int, streams: int) -> list[Round]:
    async with httpx.AsyncClient(base_url=server.base, timeout=300, trust_env=False) as http:
        found = []
        for number in range(count + 1):  # the first one warms up
            turn = number % len(WAYS)
            order = WAYS[turn:] + WAYS[:turn]
            found.append({way: await _measured(http, server, way, TOPICS[:streams]) for way in order})
        return found[1:]


def _report(streams: int, found: Sequence[Round]) -> str:
    def ratio(name: str, way: str, to: str) -> str:
        ratios = sorted(getattr(each[way], name) / getattr(each[to], name) for each in found)
        return f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"

    speed = statistics.median(each["itself"].tok_s for each in found)
    busy = statistics.median(each["itself"].busy_ms for each in found)
    return (
        f"{streams} streams: itself {speed:.1f} tok/s, {busy:.2f} ms of a core a token. Times that: plain"
        f" {ratio('tok_s', 'plain', 'itself')} tok/s, {ratio('busy_ms', 'plain', 'itself')} of a core. Judged to plain:"
        f" {ratio('tok_s', 'judged', 'plain')} tok/s, {ratio('busy_ms', 'judged', 'plain')} of a core"
    )


@contextlib.contextmanager
def _serving(*, drafting: bool) -> Iterator[Server]:
    """Two names of the demo model; the second is never loaded."""
    demo = resolve("demo").path
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "ggufrun.toml").write_text(ROUTES, encoding="utf-8")
        os.environ["GGUFRUN_HOME"] = folder
        files = []
        for name in ("itself", "never"):
            (Path(folder) / f"{name}.gguf").symlink_to(demo)
            files.append(f"{name}={folder}/{name}.gguf")
        command = (sys.executable, "-m", "ggufrun", "serve", *files, "--no-ui", "--port", "{port}", "--context", "8192")
        more = () if drafting else ("--no-drafting",)
        with running(Contender("ggufrun", (*command, "--parallel", "8", *more))) as server:
            yield server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--drafting", action="store_true")
    chosen = parser.parse_args()
    with _serving(drafting=chosen.drafting) as server:
        for streams in (1, len(TOPICS)):
            print(_report(streams, asyncio.run(_rounds(server, chosen.rounds, streams))), flush=True)


if __name__ == "__main__":
    main()
