"""Whether the GPU is really used: by its memory before and after a load, and by tokens a second, not by a flag."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ggufrun.doctor.asking import ask
from ggufrun.doctor.finding import Finding
from ggufrun.doctor.trial_model import write_trial_model
from ggufrun.errors import EngineError, InputError
from ggufrun.figures import gib, speed
from ggufrun.store.resolve import resolve

_ANSWER_S: Final = 120.0
_ENOUGH: Final = 0.5  # of the weights' bytes: what a load must take from a GPU to count as one. Small tensors stay.
_REPORT: Final = "Try another build of llama.cpp, and report it with all of this."
_MARGIN: Final = 1.2  # times the processor's speed: less may be chance


@dataclass(frozen=True, slots=True)
class Measurement:
    """Bytes; free ones by ggml's name of each GPU. Tokens a second."""

    weights: int
    before: Mapping[str, int]
    loaded: Mapping[str, int]
    after: Mapping[str, int]
    prompt_tok_s: float
    tok_s: float

    @property
    def taken(self) -> int:
        """What all GPUs together had less when the model was there."""
        return sum(free - self.loaded.get(name, free) for name, free in self.before.items())

    @property
    def given_back(self) -> int:
        return sum(free - self.loaded.get(name, free) for name, free in self.after.items())


@dataclass(frozen=True, slots=True)
class Proof:
    model: str  # "the demo model", or the one made for this
    cpu: Measurement
    gpu: Measurement | None  # None: this llama.cpp sees no GPU


def prove(*, gpu: bool) -> Proof:
    """Load a small model in processes of their own. Raises EngineError where that fails."""
    with _small_model() as (name, path):
        onto = _measured(path, "gpu") if gpu else None
        return Proof(name, _measured(path, "cpu"), onto)


def judge_proof(proof: Proof) -> Finding:
    cpu, gpu = proof.cpu, proof.gpu
    alone = f"{proof.model} ({gib(cpu.weights)}) writes {speed(cpu.tok_s)} tokens/s and reads {speed(cpu.prompt_tok_s)}"
    if gpu is None:
        return Finding("speed", "ok", f"Measured on the processor: {alone}.")
    memory = f"loading {gib(gpu.weights)} took {gib(gpu.taken)} of its memory ({gib(gpu.given_back)} came back)"
    speeds = f"{proof.model} writes {speed(gpu.tok_s)} tokens/s with it and {speed(cpu.tok_s)} without"
    if gpu.taken < _ENOUGH * gpu.weights:
        hint = "Look at what llama.cpp says with `ggufrun run --debug`, and at the driver; another build may do."
        return Finding("GPU used", "fault", f"The GPU is not used: {memory}, and {speeds}.", hint)
    if max(gpu.tok_s / cpu.tok_s, gpu.prompt_tok_s / cpu.prompt_tok_s) < _MARGIN:
        hint = "Compare on your own model with --gpu-layers 0; a GPU without memory of its own gains little."
        return Finding("GPU used", "warning", f"The GPU is used and hardly faster: {memory}, and {speeds}.", hint)
    return Finding("GPU used", "ok", f"The GPU is used: {memory}, and {speeds}.")


def failed_proof(error: EngineError) -> Finding:
    return Finding("speed", "fault", f"A small model could not be loaded: {error.message}", error.hint or _REPORT)


def _measured(path: Path, where: str) -> Measurement:
    told: dict[str, Any] = ask("ggufrun.doctor.proving", str(path), where, timeout_s=_ANSWER_S)
    return Measurement(**told)


@contextmanager
def _small_model() -> Iterator[tuple[str, Path]]:
    """The demo model where it is installed, else one of random weights, which is as good for this."""
    try:
        yield "The demo model", resolve("demo").path
        return
    except InputError:
        pass
    with tempfile.TemporaryDirectory(prefix="ggufrun-") as folder:
        path = Path(folder) / "trial.gguf"
        write_trial_model(path)
        yield "A model of random weights", path
