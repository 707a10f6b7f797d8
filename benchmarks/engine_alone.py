"""The engine without HTTP, in a process of its own: generation and prompt speed as llama-bench measures them.

usage: python -m benchmarks.engine_alone MODEL THREADS on|off DEPTH   (flash attention; tokens in the cache first)
Prints one JSON line {"pp": tok/s of 512 prompt tokens, "tg": tok/s of 128 generated tokens at DEPTH}.
"""

import json
import random
import sys
import time
from pathlib import Path
from typing import cast

from ggufrun.engine.engine import Engine
from ggufrun.engine.grammar import GrammarCompiler
from ggufrun.engine.types import GenerationRequest, Tokens
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import EngineSettings, FlashAttention, ModelSettings


def generate(engine: Engine, prompt: tuple[int, ...], count: int) -> tuple[float, float]:
    """Seconds to the first token, and from it to the last of `count`."""
    engine.submit(GenerationRequest(0, prompt, max_tokens=count, ignore_end=True))
    start = time.perf_counter()
    first = 0.0
    while engine.busy:
        events = engine.step()
        if not first and any(isinstance(event, Tokens) for event in events):
            first = time.perf_counter()
    return first - start, time.perf_counter() - first


def main(path: str, threads: str, flash: str, depth: str) -> None:
    settings = EngineSettings(drafting=False, share_prefixes=False)
    size = max(1024, int(depth) + 256)
    model = ModelSettings(Path(path), context=size, threads=int(threads), flash_attention=cast(FlashAttention, flash))
    backend = LlamaBackend.load(model, settings, None)
    engine = Engine(backend, settings, GrammarCompiler(LlamaVocabulary(backend.model)))
    rng = random.Random(0)
    words = tuple(rng.randrange(100, backend.limits.vocabulary) for _ in range(max(512, int(depth))))
    generate(engine, words[:64], 8)  # warm
    prompt_s, _ = generate(engine, words[:512], 1)
    _, generation_s = generate(engine, words[: int(depth) or 1], 129)
    print(json.dumps({"pp": round(512 / prompt_s, 1), "tg": round(128 / generation_s, 1)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
