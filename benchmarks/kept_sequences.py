"""What finished sequences that are kept as cache cost one that runs.

usage: python -m benchmarks.kept_sequences [MODEL.gguf] [cells|requests]   (the demo model and cells unless given)
cells: flash attention off and on, the speed of a prompt of 512 tokens and the milliseconds of a step of one row beside
kept cells; the step again after the kept sequences were dropped under it; and what a kept sequence saves.
requests: eight unrelated prompts one after another, everything kept and with the backend's `keep_rows`.
"""

import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.engine_alone import generate
from benchmarks.unified_kv import step
from ggufrun.engine.backend import Run
from ggufrun.engine.engine import Engine
from ggufrun.engine.grammar import GrammarCompiler
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import EngineSettings, ModelSettings
from ggufrun.store.resolve import resolve
from ggufrun.weights.folders import default_data_folder

CONTEXT, KEPT, PROMPT, STEPS, RUNS = 16_384, 2_048, 512, 24, 3
COUNTS = (0, 2, 4, 7)  # kept sequences
REQUESTS, REQUEST, ANSWER = 8, 1_200, 64


def tokens(seed: int, count: int) -> list[int]:
    rng = random.Random(seed)
    return [rng.randrange(100, 40_000) for _ in range(count)]


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def prompt(backend: LlamaBackend, length: int) -> None:
    for at in range(0, length, PROMPT):
        step(backend, [Run(0, at, tokens(at, min(PROMPT, length - at)), 1)])
    backend.logits(0)


def row_ms(backend: LlamaBackend, start: int) -> float:
    """Median milliseconds of a step of one row."""

    def row(at: int) -> None:
        step(backend, [Run(0, at, [at], 1)])
        backend.logits(0)

    return 1e3 * statistics.median(seconds(lambda: row(at)) for at in range(start, start + STEPS))  # noqa: B023


def beside(backend: LlamaBackend, kept: int, state: bytes) -> tuple[float, float, float]:
    """Tokens a second of a prompt, milliseconds of a row, and the same when what was kept is gone."""
    for seq in range(1, kept + 1):
        if not backend.restore(seq, state):
            raise SystemExit("llama.cpp refused a state that it has just made")
    speed = PROMPT / seconds(lambda: prompt(backend, PROMPT))
    row = row_ms(backend, PROMPT)
    for seq in range(1, kept + 1):
        backend.truncate(seq, 0)
    after = row_ms(backend, PROMPT + STEPS)
    backend.truncate(0, 0)
    return speed, row, after


def cells(path: Path) -> None:
    for flash in ("off", "on"):
        settings = ModelSettings(path, context=CONTEXT, flash_attention=flash)
        backend = LlamaBackend.load(settings, EngineSettings(parallel=8, cached_sequences=0))
        computed = seconds(lambda: prompt(backend, KEPT))  # noqa: B023  (called here)
        saved = seconds(lambda: backend.save(0))  # noqa: B023
        state = backend.save(0)
        backend.truncate(0, 0)
        restored = seconds(lambda: backend.restore(0, state))  # noqa: B023
        backend.truncate(0, 0)
        times = f"computed {computed:.2f} s, saved {saved:.3f} s, restored {restored:.3f} s"
        print(f"flash {flash:3}  {KEPT} tokens ({len(state) >> 20} MiB) {times}")
        for count in COUNTS:
            found = zip(*(beside(backend, count, state) for _ in range(RUNS)), strict=True)
            speed, row, after = (statistics.median(values) for values in found)
            figures = f"prompt {speed:6.1f} tok/s  row {row:5.1f} ms  row, kept ones dropped {after:5.1f} ms"
            print(f"flash {flash:3}  {count * KEPT:6} kept  {figures}", flush=True)
        backend.close()


def requests(path: Path) -> None:
    for keeps_all in (True, False):
        settings = EngineSettings(drafting=False)
        backend = LlamaBackend.load(ModelSettings(path, context=CONTEXT), settings)
        if keeps_all:
            backend.keep_rows = None
        engine = Engine(backend, settings, GrammarCompiler(LlamaVocabulary(backend.model)))
        generate(engine, tuple(tokens(0, 64)), 4)  # warm
        found = [generate(engine, tuple(tokens(n, REQUEST)), ANSWER + 1) for n in range(1, REQUESTS + 1)]
        each = "  ".join(f"{first:.1f} s + {1e3 * rest / ANSWER:.0f} ms" for first, rest in found)
        total = sum(first + rest for first, rest in found)
        print(f"keep_rows {backend.keep_rows!s:5} {total:5.1f} s: first token and token after it {each}", flush=True)
        engine.close()


def main(spec: str = "demo", part: str = "cells") -> None:
    path = resolve(spec, default_data_folder()).path
    {"cells": cells, "requests": requests}[part](path)


if __name__ == "__main__":
    main(*sys.argv[1:])
