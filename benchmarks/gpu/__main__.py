"""Real shapes on a graphics card: is memory what was foreseen, is the speed what the card allows, does all of it work?

usage: python -m benchmarks.gpu [--out DIR] [--seconds 270] [--only NAME,NAME] [--llama-bench FILE] [--second] [--tiny]
Each step is a process of its own with a time limit, the most telling first; what time does not suffice for is left
out. Writes results.jsonl and report.md. --tiny: models of a few MB, which also a machine without a card computes.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.gpu.card import card
from benchmarks.gpu.files import Files, roomy_folder
from benchmarks.gpu.notes import note, notes
from benchmarks.gpu.report import report, tables
from benchmarks.gpu.weights import SHAPES
from ggufrun.fit.refused import IN_RAM

LEAST_S: Final = 10.0  # with less left, no step is begun
WRITING_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Step:
    """`module` of this folder with the file of a shape, the folder for results and `more`; `limit_s` ends it."""

    name: str
    module: str
    kind: str
    more: tuple[str, ...] = ()
    before: tuple[str, ...] = ()  # arguments in front of the file
    limit_s: float = 60.0
    least_s: float = LEAST_S  # with less left, it is not begun


def memory(kind: str, name: str = "", *more: str, limit_s: float = 60.0) -> Step:
    return Step(f"memory-{kind}{name}", "memory", kind, more, limit_s=limit_s)


def program(name: str, kind: str, limit_s: float = 60.0) -> Step:
    return Step(name, "programs", kind, before=(name,), limit_s=limit_s)


def steps(speed: tuple[str, ...]) -> tuple[Step, ...]:
    """In the order of what they tell. `speed`: the copy speed and llama-bench."""
    return (
        memory("small-24b", limit_s=90),
        Step("speed-small-24b", "speed", "small-24b", speed, limit_s=90),
        Step("tight-small-24b", "tight", "small-24b", ("10",)),
        program("fit", "small-24b", 30),
        program("serve", "small-24b"),
        memory("small4-4", "", "--override", IN_RAM),
        memory("small4-4", "-experts", "--override", "ffn_.*_exps=CPU", "--cases", "4k,32k"),
        Step("speed-small4-4", "speed", "small4-4", speed[:1]),
        Step("speed-small4-4-card", "speed", "small4-4", (speed[0], "--card"), limit_s=30),
        memory("medium-4"),
        Step("tight-small-24b-64k", "tight", "small-24b", ("18", "65536")),
        memory("small-24b", "-half", "--layers", "20", "--cases", "4k,32k"),
        program("suite", "ministral-3b", 45),
        program("vision", "ministral-3b", 45),
        program("agreement", "ministral-3b", 30),
        memory("gemma-1b"),
        Step("speed-gemma-1b", "speed", "gemma-1b", speed),
        program("doctor", "ministral-3b", 45),
        program("rpc", "ministral-3b"),
        program("embeddings", "ministral-3b", 30),
        Step("speed-ministral-3b", "speed", "ministral-3b", speed),
        Step("speed-medium-4", "speed", "medium-4", speed),
        Step("speed-small-q8", "speed", "small-q8", speed),
        memory("ministral-3b", "", "--cases", "4k,32k,32k-q8"),
    )


def second_steps(speed: tuple[str, ...]) -> tuple[Step, ...]:
    """What the first run had no time for; short ones go first, while the large files are written."""
    shallow = ("--depth", "0")
    return (
        program("agreement", "ministral-3b", 30),
        program("embeddings", "ministral-3b", 20),
        program("vision", "ministral-3b", 30),
        Step("speed-small-24b", "speed", "small-24b", speed, limit_s=55),  # the turns with llama-bench come first
        program("rpc", "ministral-3b", 60),  # while the next file is written, which has waited
        Step("speed-small4-4", "speed", "small4-4", speed[:1], limit_s=40),
        Step("speed-small4-4-card", "speed", "small4-4", (speed[0], "--card"), limit_s=25),
        Step("tight-small4-4", "tight", "small4-4", ("5",), limit_s=25),
        memory("small4-4", "", "--override", IN_RAM, "--cases", "4k", *shallow, limit_s=25),
        program("suite", "ministral-3b", 65),
        # with layers in RAM llama.cpp's own choice is without flash attention, which takes a GiB more
        Step("tight-small-24b-16k", "tight", "small-24b", ("10", "16384"), limit_s=30),
        Step("tight-small-24b-flash", "tight", "small-24b", ("10", "16384", "on"), limit_s=30),
        program("doctor", "ministral-3b", 30),
        memory("gemma-1b", "", *shallow, limit_s=25),
        replace(memory("medium-q3", "", "--cases", "32k,128k-q8", *shallow, limit_s=100), least_s=45),
        memory("ministral-3b", "", "--cases", "4k,32k,32k-q8,8k-off", *shallow, limit_s=25),
        Step("speed-medium-q3", "speed", "medium-q3", speed[:1], limit_s=60, least_s=35),
    )


def tiny(table: Sequence[Step]) -> tuple[Step, ...]:
    """The same parts, with models of the tests' sizes."""
    small = {"small-24b": "dense", "small4-4": "experts", "medium-4": "dense", "gemma-1b": "sliding"}
    found = {}
    for step in table:
        more = ("--cases", "4k,32k-q8,8k-off", *step.more) if step.module == "memory" else step.more
        found[step.name] = replace(step, kind=small.get(step.kind, "dense"), more=more)
    return tuple(found.values())


def whole_medium(speed: tuple[str, ...]) -> tuple[Step, ...]:
    """Mistral Medium 3.5 with all its layers at 3.7 bits a weight: 58 GB to write, to read and to hold."""
    return (
        memory("medium-q3", "", "--cases", "4k,32k,32k-q8,128k-q8", limit_s=240),
        Step("speed-medium-q3", "speed", "medium-q3", speed, limit_s=200),
    )


def run(step: Step, path: Path, out: Path, limit_s: float, small: bool) -> None:
    command = [sys.executable, "-m", f"benchmarks.gpu.{step.module}", *step.before, str(path), str(out), *step.more]
    env = os.environ | ({"GGUFRUN_GPU_TINY": "1", "OMP_WAIT_POLICY": "passive"} if small else {})
    start, code = time.perf_counter(), "late"
    with (out / "steps.log").open("ab") as log:
        log.write(f"\n==== {step.name}: {' '.join(command[1:])}\n".encode())
        log.flush()
        with subprocess.Popen(command, stdout=sys.stdout, stderr=log, env=env, start_new_session=True) as child:
            try:
                code = str(child.wait(limit_s))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, 9)
    note(out, "step", name=step.name, code=code, seconds=round(time.perf_counter() - start, 2))


def measure(chosen: Sequence[Step], out: Path, seconds: float, small: bool) -> None:
    end = time.monotonic() + seconds
    kinds = tuple(dict.fromkeys(step.kind for step in chosen))
    last = {step.kind: step.name for step in chosen}
    with Files(kinds, out, roomy_folder()) as files:
        for step in chosen:
            left = end - time.monotonic()
            if left < step.least_s:
                note(out, "left out", name=step.name, left_s=round(left))
                continue
            path = files.path(step.kind, min(left, max(WRITING_S, step.limit_s)))
            if path is None:
                note(out, "left out", name=step.name, why="its file was not written")
                continue
            with files.paused() if step.module == "speed" else nullcontext():
                run(step, path, out, min(step.limit_s, max(1.0, end - time.monotonic())), small)
            (out / "report.md").write_text(report(notes(out)), "utf-8")
            if last[step.kind] == step.name:
                files.forget(step.kind)


def copied(out: Path) -> float:
    """Bytes a second within the card's memory, asked in a process of its own: 0 without a card."""
    command = [sys.executable, "-c", "from benchmarks.gpu.card import copy_speed; print(copy_speed() or 0.0)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    speed = float(done.stdout) if done.returncode == 0 else 0.0
    now = card()
    note(out, "card", name=now and now.name, driver=now and now.driver, total=now and now.total,
         used=now and now.used, copy=speed, error=done.stderr[-200:])  # fmt: skip
    return speed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu-results"))
    parser.add_argument("--seconds", type=float, default=270.0, help="for all steps together")
    parser.add_argument("--only", default="", help="steps by name, or the shapes: " + ", ".join(SHAPES))
    parser.add_argument("--llama-bench", default="", metavar="FILE", help="llama.cpp's own program, to compare")
    parser.add_argument("--medium", action="store_true", help="only the whole Medium 3.5: 80 GB of card, 64 of RAM")
    parser.add_argument("--second", action="store_true", help="what 270 seconds did not suffice for, and llama-bench")
    parser.add_argument("--tiny", action="store_true", help="models of a few MB")
    asked = parser.parse_args()
    out: Path = asked.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    speed = (str(copied(out)), *filter(None, [asked.llama_bench]))
    table = whole_medium(speed) if asked.medium else second_steps(speed) if asked.second else steps(speed)
    if asked.tiny:
        table = tiny(table)
    only = set(filter(None, asked.only.split(",")))
    chosen = [step for step in table if not only or only & {step.name, step.kind}]
    measure(chosen, out, asked.seconds, asked.tiny)
    print(tables(notes(out)))


if __name__ == "__main__":
    main()
