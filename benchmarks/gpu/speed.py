"""Tokens a second: by the engine, by llama.cpp's steps alone, by llama-bench, and what the card's memory allows.

usage: python -m benchmarks.gpu.speed FILE OUT COPY_BYTES_A_SECOND [LLAMA_BENCH | --card]
The model is loaded as ggufrun plans it; --card: with all of it on the card, and only a few tokens.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from llama_cpp import llama_cpp as ll

from benchmarks.engine_alone import generate
from benchmarks.gpu.notes import note
from ggufrun.engine.backend import Run
from ggufrun.engine.engine import Engine
from ggufrun.engine.grammar import GrammarCompiler
from ggufrun.engine.types import GenerationRequest
from ggufrun.fit.machine import machine_here
from ggufrun.fit.options import options_of
from ggufrun.fit.planner import make_plan
from ggufrun.fit.probe import Probe
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import EngineSettings, ModelOverrides, ModelSettings
from ggufrun.weights.header import Header, read_header

ROUNDS: Final = 3
PROMPT: Final = 512
ANSWER: Final = 128
CONTEXT: Final = 8192
FEW: Final = 16  # tokens, where each takes long
DEPTH: Final = 4096  # tokens in the cache before an answer is timed again
BENCH_S: Final = 30.0
TURNS: Final = 2  # with llama-bench, one after the other
STREAMS: Final = (8, 16)


def bytes_a_token(header: Header) -> int:
    """Of the weights that one token reads: no row of the embedding counts, and of experts those that are used."""
    architecture = header.architecture
    count = header.integer(f"{architecture}.expert_count") or 1
    share = (header.integer(f"{architecture}.expert_used_count") or 1) / count
    tied = not any(tensor.name == "output.weight" for tensor in header.tensors)
    total = 0.0
    for tensor in header.tensors:
        if tensor.name == "token_embd.weight" and not tied:
            continue
        total += (tensor.size or 0) * (share if "_exps" in tensor.name else 1)
    return int(total)


def streams(engine: Engine, words: tuple[int, ...], count: int) -> float:
    """Tokens a second of `count` answers at once, prompts of 16 tokens included."""
    start = time.perf_counter()
    for number in range(count):
        prompt = words[number * 16 : number * 16 + 16]
        engine.submit(GenerationRequest(number, prompt, max_tokens=ANSWER, ignore_end=True))
    while engine.busy:
        engine.step()
    return count * ANSWER / (time.perf_counter() - start)


def bare(backend: LlamaBackend, words: tuple[int, ...], out: Path, file: str) -> None:
    """What llama-bench does, by the same calls: one sequence, its own cells, no logits read. Also where that is not."""
    usual = backend.plan
    size = PROMPT + ANSWER
    backend.reopen(replace(usual, context=size, batch=2048, sequences=1, unified=False))
    found: dict[str, list[float]] = {"pp512": [], "tg128": []}
    for _ in range(4):  # the first one warms up
        start = time.perf_counter()
        backend.decode([Run(0, 0, words[:PROMPT], outputs=1)])
        ll.llama_synchronize(backend._context)
        found["pp512"].append(PROMPT / (time.perf_counter() - start))
        backend.truncate(0, 0)
        start = time.perf_counter()
        for at in range(ANSWER):
            backend.decode([Run(0, at, [words[at]], outputs=1)])
            ll.llama_synchronize(backend._context)
        found["tg128"].append(ANSWER / (time.perf_counter() - start))
        backend.truncate(0, 0)
    backend.reopen(usual)
    note(out, "bare", file=file, **{name: round(statistics.median(each[1:]), 2) for name, each in found.items()})


def steps_alone(backend: LlamaBackend, words: tuple[int, ...]) -> float:
    """Tokens a second of llama_decode and the largest logit, without an engine: the last sequence, one row a step."""
    seq = backend.limits.sequences - 1
    for at in range(8):
        backend.decode([Run(seq, at, [words[at]], outputs=1)])
    start = time.perf_counter()
    for at in range(8, 8 + ANSWER):
        backend.decode([Run(seq, at, [words[at]], outputs=1)])
        int(backend.logits(0).argmax())
    took = time.perf_counter() - start
    backend.truncate(seq, 0)
    return ANSWER / took


def planned(path: Path, out: Path, settings: EngineSettings) -> ModelSettings:
    wishes = Wishes(ModelOverrides(context=CONTEXT), settings)
    with Probe() as probe:
        plan = make_plan(Subject(path, (read_header(path),), path.stem), machine_here(probe.devices()), wishes, probe)
    known = {use.compute_known for use in plan.devices}
    note(out, "plan", file=path.name, exact=known == {"measured"}, verdict=plan.verdict, tok_s=plan.predicted_tok_s,
         layers=[plan.gpu_layers, plan.layers], options=options_of(plan.overrides, plan.batch, None))  # fmt: skip
    return ModelSettings(path, **plan.overrides)


def on_card(path: Path, out: Path) -> None:
    """All of it there, also what ggufrun keeps in RAM: see `fit.refused`."""
    settings = EngineSettings(parallel=1, drafting=False, share_prefixes=False)
    backend = LlamaBackend.load(ModelSettings(path, context=CONTEXT), settings, None)
    engine = Engine(backend, settings, GrammarCompiler(LlamaVocabulary(backend.model)))
    words = tuple(np.random.default_rng(0).integers(100, backend.limits.vocabulary, FEW).tolist())
    generate(engine, words, 4)  # warm
    took = [FEW / generate(engine, words[:1], FEW + 1)[1] for _ in range(ROUNDS)]
    note(out, "speed", file=path.name, tg16_card=round(statistics.median(took), 2))
    engine.close()


def ours(path: Path, out: Path, program: str) -> None:
    """A line for each figure, so that a limit of time loses only those that follow. `program`: llama-bench, or ""."""
    settings = EngineSettings(parallel=max(STREAMS), drafting=False, share_prefixes=False)
    start = time.perf_counter()
    backend = LlamaBackend.load(planned(path, out, settings), settings, None)
    note(out, "speed", file=path.name, load_s=round(time.perf_counter() - start, 2))
    engine = Engine(backend, settings, GrammarCompiler(LlamaVocabulary(backend.model)))
    words = tuple(np.random.default_rng(0).integers(100, backend.limits.vocabulary, DEPTH).tolist())
    generate(engine, words[:64], 8)  # warm
    measures: dict[str, tuple[int, Callable[[], float]]] = {
        "tg128": (ROUNDS, lambda: ANSWER / generate(engine, words[:1], ANSWER + 1)[1]),
        "pp512": (ROUNDS, lambda: PROMPT / generate(engine, words[:PROMPT], 1)[0]),
        **{f"tg128_x{count}": (2, partial(streams, engine, words, count)) for count in STREAMS},
        "steps_alone": (2, lambda: steps_alone(backend, words)),
        "pp4096": (1, lambda: DEPTH / generate(engine, words, 1)[0]),
        "tg128_deep": (1, lambda: ANSWER / generate(engine, words, ANSWER + 1)[1]),
    }
    for turn in range(TURNS if program else 0):
        for name in ("tg128", "pp512"):
            rounds, measure = measures[name]
            found = [round(measure(), 2) for _ in range(rounds)]
            note(out, "turn", file=path.name, turn=turn, **{name: statistics.median(found), f"{name}_all": found})
        peer(path, out, program, turn)
    for name, (rounds, measure) in measures.items():
        note(out, "speed", file=path.name, **{name: round(statistics.median(measure() for _ in range(rounds)), 2)})
    bare(backend, words, out, path.name)
    engine.close()


def peer(path: Path, out: Path, program: str, turn: int) -> None:
    """llama-bench, which loads the model once more."""
    command = [program, "-m", str(path), "-p", str(PROMPT), "-n", str(ANSWER), "-r", str(ROUNDS), "-o", "json"]
    command += ["-fa", "1", "-ngl", "99"]
    start = time.perf_counter()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BENCH_S)
    except subprocess.TimeoutExpired:
        note(out, "peer", file=path.name, turn=turn, error=f"not done in {BENCH_S} s")
        return
    took = round(time.perf_counter() - start, 2)
    if done.returncode != 0:
        note(out, "peer", file=path.name, turn=turn, seconds=took, error=done.stderr[-400:])
        return
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    found = {"pp512" if row["n_prompt"] else "tg128": round(row["avg_ts"], 2) for row in rows}
    about = {key: rows[0].get(key) for key in ("flash_attn", "backends", "gpu_info", "build_commit")}
    note(out, "peer", file=path.name, turn=turn, seconds=took, **about, **found)


def main(file: str, folder: str, copied: str, program: str = "") -> None:
    path, out = Path(file), Path(folder)
    if program == "--card":
        on_card(path, out)
        return
    read = bytes_a_token(read_header(path))
    bound = float(copied) / read if float(copied) else None
    note(out, "bound", file=path.name, bytes_a_token=read, tok_s=bound)
    ours(path, out, program)


if __name__ == "__main__":
    main(*sys.argv[1:])
