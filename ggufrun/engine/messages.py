"""What the service and its worker tell each other, besides the requests and events of `types`."""

from dataclasses import dataclass

import ggufrun.errors
from ggufrun.engine import types
from ggufrun.engine.pipe import register
from ggufrun.engine.types import EngineEvent, EngineRequest
from ggufrun.errors import EngineError, GgufrunError
from ggufrun.settings import EngineSettings, ModelSettings


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker runs. `factory` is the dotted name of an `opened.Factory`, e.g. "package.module:function"."""

    factory: str
    model: ModelSettings
    engine: EngineSettings


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What the service knows of the loaded model. Context in tokens."""

    context: int
    vocabulary: int
    parameters: int
    description: str
    context_train: int = 0
    memory_bytes: int = 0  # 0: unknown
    dimensions: int = 0  # of an embedding; 0: it makes none


@dataclass(frozen=True, slots=True)
class Start:
    """The first message: open the model."""

    settings: WorkerSettings


@dataclass(frozen=True, slots=True)
class Submit:
    request: EngineRequest


@dataclass(frozen=True, slots=True)
class Cancel:
    id: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish the step, write what the disk cache still waits for, and exit. Nothing is read after it."""


@dataclass(frozen=True, slots=True)
class LoadProgress:
    fraction: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class Ready:
    info: ModelInfo


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """An error of `ggufrun.errors`, taken apart: exceptions with arguments of their own do not pickle by themselves."""

    kind: str
    state: dict[str, object]

    @classmethod
    def of(cls, error: GgufrunError) -> "LoadFailed":
        known = next(kind for kind in type(error).__mro__ if kind.__module__ == ggufrun.errors.__name__)
        return cls(known.__name__, dict(vars(error)))

    def error(self) -> GgufrunError:
        """The same error again, of the same type and with the same data."""
        kind = getattr(ggufrun.errors, self.kind, EngineError)
        error: GgufrunError = kind.__new__(kind)
        error.args = (self.state.get("message", ""),)
        vars(error).update(self.state)
        return error


@dataclass(frozen=True, slots=True)
class Fatal:
    """The worker's last words: why it exits."""

    message: str


ToWorker = Start | Submit | Cancel | Stop
FromWorker = LoadProgress | Ready | LoadFailed | Fatal | EngineEvent

register((Start, Submit, Cancel, Stop))
register((types.GenerationRequest, types.SamplingParams, types.Grammar, types.Image))
register((LoadProgress, Ready, LoadFailed, Fatal))
register((types.PromptProgress, types.Tokens, types.TokenLogprob, types.Finished, types.Stats, types.Failed))
register((types.EmbeddingRequest, types.Embedded))
