"""One model on the card: what was foreseen, what llama.cpp's buffers are, and what the driver says is in use.

usage: python -m benchmarks.gpu.memory FILE OUT [--cases NAME,NAME] [--layers N] [--override RE=TYPE] [--depth S]
Lines: "load" (seconds, and the card's memory step by step), then "memory" for each case.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.gpu.card import settled, used
from benchmarks.gpu.notes import note
from ggufrun.engine.backend import DecodeStatus, Run
from ggufrun.errors import GgufrunError
from ggufrun.fit.machine import Machine, machine_here
from ggufrun.fit.plan import Plan
from ggufrun.fit.planner import make_plan
from ggufrun.fit.probe import Probe
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.breakdown import breakdown
from ggufrun.llama.context import ContextPlan
from ggufrun.llama.devices import devices
from ggufrun.llama.model import Model
from ggufrun.settings import EngineSettings, ModelOverrides, ModelSettings
from ggufrun.weights.header import read_header

Sizes = dict[str, dict[str, int]]  # of each device's weights, cache and computing, in bytes

DEEP_S: Final = 6.0  # seconds that a long prompt is read for; what memory it takes by then counts


@dataclass(frozen=True, slots=True)
class Case:
    """Knobs of a context. `deep`: fill it, as far as time allows."""

    knobs: ModelOverrides
    batch: int = 512
    deep: bool = False


CASES: Final[Mapping[str, Case]] = {
    "4k": Case({"context": 4096}),
    "32k": Case({"context": 32_768}),
    "128k": Case({"context": 131_072}, deep=True),
    "32k-q8": Case({"context": 32_768, "kv_type": "q8_0"}),
    "128k-q8": Case({"context": 131_072, "kv_type": "q8_0"}, deep=True),
    "8k-off": Case({"context": 8192, "flash_attention": "off"}, deep=True),
    "32k-off": Case({"context": 32_768, "flash_attention": "off"}),
    "32k-2048": Case({"context": 32_768}, batch=2048),
}


@dataclass(frozen=True, slots=True)
class Bench:
    """What all cases share. `base` has the knobs that decide where the weights lie."""

    subject: Subject
    machine: Machine
    pinned: ModelOverrides
    base: ModelSettings
    out: Path
    depth_s: float = DEEP_S

    def plan(self, case: Case, measure: Probe | None) -> Plan:
        pinned = ModelOverrides(**{**self.pinned, **case.knobs})
        return make_plan(self.subject, self.machine, Wishes(pinned, EngineSettings(batch=case.batch)), measure)

    def context(self, model: Model, case: Case) -> ContextPlan:
        return ContextPlan.make(model, replace(self.base, **case.knobs), EngineSettings(batch=case.batch))


@dataclass(frozen=True, slots=True)
class Foreseen:
    formula: Sizes
    probe: Sizes
    plan: dict[str, Any]  # of the exact one


def sizes(plan: Plan) -> Sizes:
    return {use.name: {"weights": use.weights, "kv": use.kv, "compute": use.compute} for use in plan.devices}


def real_sizes(backend: LlamaBackend) -> Sizes:
    """llama.cpp's own account of a context that is there."""
    found: Sizes = defaultdict(lambda: {"weights": 0, "kv": 0, "compute": 0})
    for buffers in breakdown(backend._context):
        for name in ("weights", "kv", "compute"):
            found[buffers.device or "RAM"][name] += getattr(buffers, name)
    return dict(found)


def foresee(bench: Bench, name: str, case: Case, probe: Probe) -> Foreseen | None:
    """None, and a line, where it is refused: not every model has every cache."""
    try:
        exact = bench.plan(case, probe)
    except GgufrunError as error:
        note(bench.out, "memory", file=bench.base.path.name, case=name, error=f"refused: {error}")
        return None
    known = {use.weights_known for use in exact.devices}
    about = {"verdict": exact.verdict, "tok_s": exact.predicted_tok_s, "known": sorted(known)}
    return Foreseen(sizes(bench.plan(case, None)), sizes(exact), about)


def on_gpus(found: Sizes) -> int:
    return sum(sum(amounts.values()) for name, amounts in found.items() if name != "RAM")


def work(backend: LlamaBackend, case: Case, depth_s: float = DEEP_S) -> Iterator[tuple[str, float]]:
    """Prompts and answers as the engine computes them: the name of each kind once it is done, and its seconds."""
    rng = np.random.default_rng(0)

    def rows(count: int) -> list[int]:
        found: list[int] = rng.integers(100, backend.limits.vocabulary, count).tolist()
        return found

    def decode(*runs: Run) -> None:
        if (status := backend.decode(runs)) is not DecodeStatus.OK or not np.isfinite(backend.logits(0)).all():
            raise SystemExit(f"a step ended as {status!r}, or with numbers out of range")

    start = time.perf_counter()
    decode(Run(0, 0, rows(backend.limits.batch), outputs=1))
    yield "prompt", time.perf_counter() - start
    at = backend.limits.batch
    for step in range(4):  # the first ones record a graph
        decode(Run(0, at + step, rows(1), outputs=1))
    start = time.perf_counter()
    decode(Run(0, at + 4, rows(1), outputs=1))
    yield "row", time.perf_counter() - start
    many = min(8, backend.limits.sequences)
    for step in range(4):  # the last one is timed
        start = time.perf_counter()
        decode(*(Run(seq, at + 5 + step if seq == 0 else step, rows(1), outputs=1) for seq in range(many)))
    yield f"{many} rows", time.perf_counter() - start
    if case.deep and depth_s:
        for seq in range(1, many):
            backend.truncate(seq, 0)
        at, start = at + 9, time.perf_counter()
        begun = at
        while at + backend.limits.batch + 8 <= backend.limits.context and time.perf_counter() - start < depth_s:
            decode(Run(0, at, rows(backend.limits.batch), outputs=1))
            at += backend.limits.batch
        yield f"depth {at}, {(at - begun) / (time.perf_counter() - start):.0f} tok/s", time.perf_counter() - start
        took = []
        for step in range(5):
            start = time.perf_counter()
            decode(Run(0, at + step, rows(1), outputs=1))
            took.append(time.perf_counter() - start)
        yield f"row at {at}", statistics.median(took)


def run(bench: Bench, cases: Mapping[str, Case], foreseen: Mapping[str, Foreseen], empty: int | None) -> None:
    steps = {"empty": empty}
    devices()
    steps["driver"] = used()
    start = time.perf_counter()
    model = Model.load(bench.base)
    seconds = time.perf_counter() - start
    steps["weights"] = used()
    note(bench.out, "load", file=bench.base.path.name, layers=bench.base.gpu_layers, mmap=bench.base.mmap,
         seconds=seconds, size=bench.base.path.stat().st_size, used=steps)  # fmt: skip
    for name, expected in foreseen.items():
        try:
            measure(bench, model, name, cases[name], expected, empty)
        except (GgufrunError, SystemExit) as error:
            note(bench.out, "memory", file=bench.base.path.name, case=name, error=str(error))
    model.close()
    note(bench.out, "unload", file=bench.base.path.name, used=used(), driver=steps["driver"])


def measure(bench: Bench, model: Model, name: str, case: Case, foreseen: Foreseen, empty: int | None) -> None:
    backend = LlamaBackend(model, bench.context(model, case))
    try:
        real, steps = real_sizes(backend), {"context": used()}
        seconds = {}
        for kind, took in work(backend, case, bench.depth_s):
            seconds[kind], steps[kind] = round(took, 4), used()
        peak = max((step for step in steps.values() if step is not None), default=None)
        beyond = None if peak is None or empty is None else peak - empty - on_gpus(real)
        note(bench.out, "memory", file=bench.base.path.name, layers=bench.base.gpu_layers, case=name,
             beyond=beyond, exact=on_gpus(foreseen.probe) == on_gpus(real), formula=foreseen.formula,
             probe=foreseen.probe, real=real, plan=foreseen.plan, used=steps, seconds=seconds)  # fmt: skip
    finally:
        backend._free()  # the model is for the next case, too


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--layers", type=int, default=999)
    parser.add_argument("--override", action="append", default=[])
    parser.add_argument("--depth", type=float, default=DEEP_S, metavar="S", help="how long deep cases are read; 0: not")
    asked = parser.parse_args()
    header = read_header(asked.file)
    # What is mapped counts as a stretch of the file, which is more than what a plan says of it.
    base = ModelSettings(asked.file, gpu_layers=asked.layers, override_tensors=tuple(asked.override), mmap=False)
    pinned = ModelOverrides(gpu_layers=asked.layers)
    if asked.override:
        pinned["override_tensors"] = tuple(asked.override)
    trained = header.context_train or 0
    chosen = {name: CASES[name] for name in asked.cases.split(",")}
    cases = {name: case for name, case in chosen.items() if (case.knobs.get("context") or 0) <= trained}
    empty = used()
    with Probe() as probe:
        subject = Subject(asked.file, (header,), asked.file.stem)
        bench = Bench(subject, machine_here(probe.devices()), pinned, base, asked.out, asked.depth)
        foreseen = {name: found for name, case in cases.items() if (found := foresee(bench, name, case, probe))}
        for measured in (probe, None):
            free = make_plan(subject, bench.machine, Wishes(), measured)
            note(asked.out, "plan", file=asked.file.name, exact=measured is not None, verdict=free.verdict,
                 context=free.context, kv_type=free.kv_type, layers=[free.gpu_layers, free.layers],
                 tok_s=free.predicted_tok_s, devices=sizes(free), free={use.name: use.free for use in free.devices},
                 bandwidth={gpu.name: gpu.bandwidth for gpu in bench.machine.gpus}, why=free.why)  # fmt: skip
    settled(empty)  # the probe's own part
    run(bench, cases, foreseen, empty)


if __name__ == "__main__":
    main()
