"""What llama.cpp says that a model takes, and how it is asked: in a process of its own, without allocating anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ggufrun.settings import EngineSettings, ModelSettings


@dataclass(frozen=True, slots=True)
class Amounts:
    """Bytes in one device's buffers."""

    weights: int = 0
    kv: int = 0
    compute: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """By ggml's device name ("CUDA0"); what lies in RAM is "RAM", whichever buffer type has it.

    Weights in RAM are counted as if they were not mapped. Beside this a context takes RAM for the logits of a step:
    `sequences` (rows, at least) * vocabulary * 4 bytes; and a GPU's driver takes some hundred MiB for itself.
    """

    devices: Mapping[str, Amounts]
    context: int  # tokens, as they were settled
    batch: int  # rows of one step
    ubatch: int  # rows computed at once
    sequences: int


class Measure(Protocol):
    """Raises OptionError or ModelFileError as a real load would, and CannotMeasure where this build of llama.cpp cannot
    say. What is too large for this machine is measured too; OutOfMemory only if measuring itself takes too much.
    """

    def __call__(self, settings: ModelSettings, engine: EngineSettings) -> Measured: ...


@dataclass(frozen=True, slots=True)
class ProbedDevice:
    """One of ggml's devices, as a fresh process sees it. Bytes; the processor's are the RAM that it may have, within a
    container's limit.
    """

    name: str
    description: str
    is_cpu: bool
    free: int
    total: int
    is_integrated: bool = False  # a GPU that takes the machine's RAM; llama.cpp uses it only where there is no other
