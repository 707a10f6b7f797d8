"""Factories for the real worker process that open real models with too little memory. Files beside the model tell them.

`memory` holds a number for the factory; to `attempts` each load adds its context and KV type.
"""

import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

from ggufrun.engine.opened import Opened
from ggufrun.llama.open import open_backend
from ggufrun.settings import EngineSettings, ModelSettings

Progress = Callable[[float], None]


def limited(model: ModelSettings, engine: EngineSettings, progress: Progress) -> Opened:
    """Under a limit that the system keeps: once the weights are loaded, `memory` MiB are left."""
    _note(model)
    before = resource.getrlimit(resource.RLIMIT_DATA)

    def report(fraction: float) -> None:
        progress(fraction)
        if fraction >= 1.0:
            _limit(int(model.path.with_name("memory").read_text()))

    opened = open_backend(model, engine, report)
    resource.setrlimit(resource.RLIMIT_DATA, before)  # answering takes threads
    return opened


def cramped(model: ModelSettings, engine: EngineSettings, progress: Progress) -> Opened:
    """There is no room for the weights."""
    _note(model)
    _limit(0)
    return open_backend(model, engine, progress)


def killed(model: ModelSettings, engine: EngineSettings, progress: Progress) -> Opened:
    """As the system does it: so many times as `memory` says, then all is well."""
    _note(model)
    if len(attempts(model.path)) <= int(model.path.with_name("memory").read_text()):
        os.kill(os.getpid(), signal.SIGKILL)
    return open_backend(model, engine, progress)


def aborting(model: ModelSettings, engine: EngineSettings, progress: Progress) -> Opened:
    """As native code does that gets no memory for a context, where that has over 4,096 tokens."""
    _note(model)
    progress(1.0)
    if (model.context or 0) > 4096:
        os.write(2, b"terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n")
        os.abort()
    return open_backend(model, engine, progress)


def attempts(path: Path) -> list[str]:
    """How the model beside `path` was tried to load, one after the other."""
    noted = path.with_name("attempts")
    return noted.read_text().splitlines() if noted.exists() else []


def _limit(more: int) -> None:
    """To so many MiB more than the process has."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    most = int(status["VmData"].split()[0]) * 1024 + (more << 20)
    resource.setrlimit(resource.RLIMIT_DATA, (most, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _note(model: ModelSettings) -> None:
    with model.path.with_name("attempts").open("a") as file:
        file.write(f"{model.context} {model.kv_type}\n")
