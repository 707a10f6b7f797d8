"""Headers and machines for tests of plans: no file is written, no process started."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from ggufrun.fit.machine import Gpu, Machine
from ggufrun.fit.plan import Plan
from ggufrun.fit.planner import make_plan
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.settings import EngineSettings
from ggufrun.weights.fields import TensorInfo
from ggufrun.weights.header import Header
from tests.shapes import ALIGNMENT, KINDS, TEKKEN, ModelShape

GIB = 1 << 30


def header_of(shape: ModelShape | str, vocabulary: int = TEKKEN, **metadata: Any) -> Header:
    """As `read_header` would read it from a file of this shape."""
    made = KINDS[shape]() if isinstance(shape, str) else shape
    tensors, offset = [], 0
    for tensor in made.tensors(vocabulary):
        info = TensorInfo(tensor.name, tensor.shape, int(tensor.type), offset)
        tensors.append(info)
        offset += -(-(info.size or 0) // ALIGNMENT) * ALIGNMENT
    keys = {f"{made.architecture}.{key}": value for key, value in {**made.metadata, **metadata}.items()}
    keys["general.architecture"] = made.architecture
    return Header(Path("made-up.gguf"), 3, keys, tuple(tensors), 4096, 4096 + offset)


def subject_of(kind: str, **changes: Any) -> Subject:
    return replace(_subject(kind), **changes) if changes else _subject(kind)


@cache
def _subject(kind: str) -> Subject:
    return Subject(Path("made-up.gguf"), (header_of(kind),), kind)


def machine_of(*gpus: float, ram: float = 64, ram_speed: float = 80, speeds: tuple[float, ...] = ()) -> Machine:
    """GPUs of so many GiB; speeds in GB/s, of GPUs 900 each unless given."""
    made = tuple(
        Gpu(f"CUDA{i}", "a card", int(size * GIB), int(size * GIB), (speeds[i] if speeds else 900) * 1e9, "estimated")
        for i, size in enumerate(gpus)
    )
    return Machine(made, int(ram * GIB), int((ram - 2) * GIB), ram_speed * 1e9, "estimated", here=False)


def plan_of(kind: str, machine: Machine, *, engine: EngineSettings | None = None, **pinned: Any) -> Plan:
    return make_plan(subject_of(kind), machine, Wishes(pinned, engine or EngineSettings()), None)  # type: ignore[arg-type]


def check_room(plan: Plan) -> None:
    """A plan that fits is under the free memory on each device, margins left."""
    for use in plan.devices:
        if use.needed:
            assert use.needed + use.margin <= use.free, use
