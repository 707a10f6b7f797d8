"""What single workloads do not show: waiting beside a long prompt, starting again, memory, the engine alone."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from benchmarks.client import Answer, Client, user
from benchmarks.load import STORY, TOPICS, measure, rules
from benchmarks.servers import Contender, running
from ggufrun.engine.process import worker_environment

Values = dict[str, float]


async def _gap(client: Client) -> Values:
    await client.ask(user("hi"), 4)
    chats = [asyncio.create_task(client.ask(user(f"{STORY} Mention {topic}."), 400)) for topic in TOPICS[:4]]
    await asyncio.sleep(1.5)
    arrived = time.perf_counter()
    late = await client.ask(user(rules(49, "Law") + " Which law is the strangest?"), 16)
    answers = await asyncio.gather(*chats)
    running_to_the_end = sum(answer.arrivals[-1] > late.arrivals[0] for answer in answers)
    gaps = [_longest(answer, arrived, late.arrivals[0]) for answer in answers]
    return {
        "gap_ms": round(1e3 * max(gaps), 1),
        "late_ttft_ms": round(1e3 * late.ttft, 1),
        "late_prompt": late.prompt_tokens,
        "still_running": running_to_the_end,
    }


def _longest(answer: Answer, begin: float, end: float) -> float:
    """The longest time between two pieces of an answer that overlaps [begin, end]."""
    return max((b - a for a, b in pairwise(answer.arrivals) if b > begin and a < end), default=0.0)


def gap(contender: Contender) -> Values:
    """Four chats are running and a prompt of about 1,500 tokens arrives: the longest gap between their pieces."""

    async def run(base: str, model: str) -> Values:
        async with Client(base, model) as client:
            return await _gap(client)

    with running(contender) as server:
        return asyncio.run(run(server.base, server.model))


def restart(contender: Contender) -> Values:
    """A prompt of about 1,800 tokens: first token cold, and again after the server was stopped and started."""

    async def first_token(base: str, model: str) -> Answer:
        async with Client(base, model) as client:
            await client.ask(user("hi"), 4)
            return await client.ask([{"role": "system", "content": rules(60)}, *user("Say something about tea.")], 8)

    with tempfile.TemporaryDirectory() as cache:
        answers = []
        for _ in range(2):
            with running(contender, Path(cache)) as server:
                answers.append(asyncio.run(first_token(server.base, server.model)))
    cold, warm = (answer.ttft for answer in answers)
    return {
        "cold_ms": round(1e3 * cold, 1),
        "warm_ms": round(1e3 * warm, 1),
        "sooner": round(cold / warm, 1),
        "prompt": answers[0].prompt_tokens,
    }


def memory(contender: Contender) -> Values:
    """Peak memory of a server and its children, over eight stories and eight chats with one long system prompt."""

    async def work(base: str, model: str) -> None:
        async with Client(base, model) as client:
            await measure(client, "par8")
            await measure(client, "shared")

    with running(contender, memory=True) as server:
        asyncio.run(work(server.base, server.model))
        return {"peak_rss_mb": round(server.peak_rss / 1e6, 1), "peak_pss_mb": round(server.peak_pss / 1e6, 1)}


def engine_alone(model: Path, threads: int, flash: str, depth: int) -> Values:
    """Our engine without HTTP, with the environment that the service gives its worker."""
    command = [sys.executable, "-m", "benchmarks.engine_alone", str(model), str(threads), flash, str(depth)]
    return _figures(command, worker_environment())


def llama_bench(binary: Path, model: Path, threads: int, flash: str, depth: int) -> Values:
    """llama-bench's pp512 and tg128 at a depth, tokens a second."""
    sizes = ["-t", str(threads), "-p", "512", "-n", "128", "-d", str(depth)]
    command = [str(binary), "-m", str(model), *sizes, "-fa", str(int(flash == "on")), "-r", "1", "-o", "json"]
    rows = json.loads(_output(command, None))
    return {("tg" if row["n_gen"] else "pp"): round(row["avg_ts"], 1) for row in rows}


def _figures(command: list[str], environment: dict[str, str]) -> Values:
    figures: Values = json.loads(_output(command, environment))
    return figures


def _output(command: list[str], environment: dict[str, str] | None) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, env=environment).stdout
