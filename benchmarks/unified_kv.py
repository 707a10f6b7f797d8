"""What one KV cache for all sequences costs where they share nothing: eight long contexts, both ways.

usage: python -m benchmarks.unified_kv [MODEL.gguf] [DEPTH]   (the demo model and 4,096 tokens unless given)
Prints a line for each way: seconds to process all prompts, and milliseconds of a step with one row for each sequence.
"""

import random
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

from ggufrun.engine.backend import DecodeStatus, Run
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.context import ContextPlan
from ggufrun.llama.model import Model
from ggufrun.settings import EngineSettings, ModelSettings
from ggufrun.store.resolve import resolve
from ggufrun.weights.folders import default_data_folder

SEQUENCES, STEPS, ROWS = 8, 24, 512


def measure(path: Path, depth: int, unified: bool) -> tuple[float, float]:
    """Seconds of all prompts, and the median milliseconds of a step at their end."""
    settings = EngineSettings(parallel=SEQUENCES, cached_sequences=0, batch=ROWS)
    model = Model.load(ModelSettings(path), None)
    plan = ContextPlan.make(model, ModelSettings(path, context=SEQUENCES * (depth + 256)), settings)
    backend = LlamaBackend(model, replace(plan, unified=unified))
    try:
        rng = random.Random(0)
        start = time.perf_counter()
        for seq in range(SEQUENCES):
            for at in range(0, depth, ROWS):
                step(backend, [Run(seq, at, [rng.randrange(100, 40_000) for _ in range(min(ROWS, depth - at))], 0)])
        prompts = time.perf_counter() - start
        times = []
        for at in range(depth, depth + STEPS):
            start = time.perf_counter()
            step(backend, [Run(seq, at, [rng.randrange(100, 40_000)], 1) for seq in range(SEQUENCES)])
            backend.logits(0)
            times.append(time.perf_counter() - start)
        return prompts, 1e3 * statistics.median(times)
    finally:
        backend.close()


def step(backend: LlamaBackend, runs: list[Run]) -> None:
    status = backend.decode(runs)
    if status is not DecodeStatus.OK:
        raise SystemExit(f"llama.cpp could not compute a step: {status.name}")


def main(spec: str = "demo", depth: str = "4096") -> None:
    path = resolve(spec, default_data_folder()).path
    for unified in (True, False):
        prompts, row = measure(path, int(depth), unified)
        print(f"unified {unified!s:5}  prompts {prompts:7.1f} s  step of {SEQUENCES} rows {row:7.1f} ms", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
