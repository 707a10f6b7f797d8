"""How a worker's end is told: as an error of a load, as a part of a sentence, and as why there is none for now."""

import math
from dataclasses import dataclass
from pathlib import Path

from ggufrun.engine.outside import EngineWaits, Outside
from ggufrun.engine.process import WorkerProcess
from ggufrun.errors import EngineCrashed, EngineError, GgufrunError, ModelFileError, OutOfMemory


@dataclass(frozen=True, slots=True)
class Down:
    """Why there is no worker, and from when on (monotonic seconds) a request may start it again.

    Never (infinity) where something outside is missing: the service itself looks for that.
    """

    reason: str
    until: float

    def error(self, now: float) -> EngineCrashed:
        if math.isinf(self.until):
            return EngineWaits(self.reason)
        return EngineCrashed(self.reason, restarting=False, retry_s=max(1, math.ceil(self.until - now)))


def load_crash(process: WorkerProcess, path: Path, outside: Outside | None) -> GgufrunError:
    """The error for a worker that ended while it loaded, without one of its own."""
    smaller = "Use a smaller model, a smaller --context or a smaller --kv-type."
    if outside is not None and (blamed := outside.blamed(process.ending())):
        return EngineError(f"The model's process ended while loading: {blamed}.", "Load it again.")
    if process.killed:
        killed = f"The system killed the process that loaded the model ({process.ending()})."
        return OutOfMemory(killed, smaller, killed=True)
    if process.starved:
        return OutOfMemory(f"There was no memory left to load the model ({process.ending()}).", smaller)
    if process.given_up:
        return EngineError(f"The model's process was ended while loading: {process.ending()}.", "Load it again.")
    reason = f"llama.cpp ended while loading it: {process.ending()}"
    return ModelFileError(path, reason, "The file may be damaged: get it again.")


def detail_of(error: GgufrunError) -> str:
    """As a part of a longer sentence, which clients read: without the file's path."""
    return (error.reason if isinstance(error, ModelFileError) else str(error)).rstrip(".")
