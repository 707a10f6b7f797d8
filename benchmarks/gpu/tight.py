"""A plan for a card that is nearly full: whether what it says fits does, and how much of the margin is left.

usage: python -m benchmarks.gpu.tight FILE OUT FREE_GIB [CONTEXT [FLASH]]
Another process (`... tight hold FREE_BYTES`) takes the card's memory but for FREE_GIB; then the model is planned,
loaded and used as `ggufrun serve` would.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.gpu.card import allocate, card, cuda_runtime, used
from benchmarks.gpu.memory import Case, sizes, work
from benchmarks.gpu.notes import note
from ggufrun.fit.machine import machine_here
from ggufrun.fit.planner import make_plan
from ggufrun.fit.probe import Probe
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.llama.backend import LlamaBackend
from ggufrun.settings import EngineSettings, ModelOverrides, ModelSettings
from ggufrun.weights.header import read_header


@contextmanager
def held(free: int) -> Iterator[None]:
    """All but `free` bytes of the card taken, by a process that ends with the block."""
    command = [sys.executable, "-m", "benchmarks.gpu.tight", "hold", str(free)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            if holder.stdout is None or not holder.stdout.readline():
                raise SystemExit("the card's memory could not be taken")
            yield
        finally:
            holder.kill()


def hold(free: int) -> None:
    cuda, now = cuda_runtime(), card()
    if cuda is None or now is None:
        return
    allocate(cuda, 1 << 20)  # makes the context, which takes memory too
    now = card() or now
    allocate(cuda, now.total - now.used - free)
    print("held", flush=True)
    sys.stdin.read()


def planned(path: Path, out: Path, gib: float, pinned: ModelOverrides) -> None:
    header = read_header(path)
    subject, engine = Subject(path, (header,), path.stem), EngineSettings()
    before = card()
    with Probe() as probe:
        plan = make_plan(subject, machine_here(probe.devices()), Wishes(pinned, engine), probe)
    about: dict[str, Any] = {
        "file": path.name, "gib": gib, "free": before and before.total - before.used, "verdict": plan.verdict,
        "context": plan.context, "layers": [plan.gpu_layers, plan.layers], "kv_type": plan.kv_type,
        "batch": plan.batch, "overrides": len(plan.overrides.get("override_tensors", ())), "foreseen": sizes(plan),
        "tok_s": plan.predicted_tok_s, "why": plan.why[:2], "flash": pinned.get("flash_attention", "auto"),
    }  # fmt: skip
    if not plan.fits:
        note(out, "tight", **about)
        return
    backend = LlamaBackend.load(ModelSettings(path, **plan.overrides), replace(engine, batch=plan.batch))
    left, seconds = [], {}
    left.append(_left())
    for kind, took in work(backend, Case({"context": plan.context}, deep=True)):
        left.append(_left())
        seconds[kind] = round(took, 4)
    backend.close()
    known = [each for each in left if each is not None]
    note(out, "tight", least_left=min(known, default=None), seconds=seconds, **about)


def _left() -> int | None:
    now = card()
    return None if now is None else now.total - now.used


def main(first: str, second: str, free_gib: str = "", context: str = "", flash: str = "") -> None:
    if first == "hold":
        hold(int(second))
        return
    path, out, pinned = Path(first), Path(second), ModelOverrides()
    if context:
        pinned["context"] = int(context)
    if flash == "on":
        pinned["flash_attention"] = "on"
    if used() is None or cuda_runtime() is None:
        planned(path, out, 0.0, pinned)
        return
    with held(int(float(free_gib) * (1 << 30))):
        planned(path, out, float(free_gib), pinned)


if __name__ == "__main__":
    main(*sys.argv[1:])
