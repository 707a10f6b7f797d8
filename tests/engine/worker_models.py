"""Models for the real worker process: fake backends that do what their name or a request's first token says."""

import gc
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ggufrun.engine.backend import DecodeStatus, Run
from ggufrun.engine.opened import OpenedModel
from ggufrun.engine.pipe import PipeWriter
from ggufrun.engine.types import SamplingParams
from ggufrun.errors import ModelFileError
from ggufrun.settings import EngineSettings, ModelSettings
from tests.fake_backend import END, VOCABULARY, FakeBackend, FakeSampler

STEP_S = 0.002
ABORT, RAISE, RAISE_FOR_GOOD, HANG, PRINT, GARBLE, SHOUT = 63, 62, 61, 60, 59, 58, 57  # as a prompt's first token
BAD_TOP_K = 13

Progress = Callable[[float], None]


@dataclass(frozen=True)
class FakeVocabulary:
    """One letter a token."""

    metadata: Mapping[str, str]
    bos: int | None = None
    eos: int | None = END
    adds_bos: bool = False

    def __len__(self) -> int:
        return VOCABULARY

    def text(self, token: int) -> str:
        return chr(ord("0") + token)

    def piece(self, token: int) -> bytes:
        return self.text(token).encode()

    def is_special(self, token: int) -> bool:
        return token == END

    def is_end(self, token: int) -> bool:
        return token == END

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        return [ord(letter) - ord("0") for letter in text]


class ObedientBackend(FakeBackend):
    """Takes a few milliseconds a step, and obeys the first token of a prompt."""

    broken = False

    def new_sampler(self, params: SamplingParams) -> FakeSampler:
        if params.top_k == BAD_TOP_K:
            raise ValueError("no such sampler")
        return super().new_sampler(params)

    def decode(self, runs: Sequence[Run]) -> DecodeStatus:
        for run in runs:
            if run.start == 0:
                self._obey(run.tokens[0])
        time.sleep(STEP_S)
        return super().decode(runs)

    def _obey(self, token: int) -> None:
        if token == ABORT:
            os.write(2, b"fake.c:1: GGML_ASSERT(all is well) failed\n")
            os.abort()
        if token in (RAISE, RAISE_FOR_GOOD):
            self.broken = token == RAISE_FOR_GOOD
            raise ArithmeticError("the numbers are off")
        if token == HANG:
            time.sleep(600)
        if token == PRINT:
            print("a careless print", flush=True)
            os.write(1, b"and one from native code\n")
        if token == GARBLE:
            _write_to_pipe(b"\x04\0\0\0junk")
        if token == SHOUT:
            for _ in range(100):
                os.write(2, b"more than a pipe holds, line by line\n" * 100)

    def reset(self) -> None:
        if self.broken:
            raise MemoryError("no context any more")
        super().reset()


def _write_to_pipe(data: bytes) -> None:
    """Past the writer's framing, as a memory fault would."""
    _pipe_to_service()._file.write(data)


def _pipe_to_service() -> PipeWriter:
    return next(each for each in gc.get_objects() if isinstance(each, PipeWriter))


def good(model: ModelSettings, engine: EngineSettings, progress: Progress) -> OpenedModel:
    for percent in range(101):
        progress(percent / 100)
    backend = ObedientBackend(context=model.context or 2048)
    return OpenedModel(backend, FakeVocabulary({}), "a fake model", "fake 0M", parameters=7, context_train=4096)


class SlowEncoder:
    """Says at `began` that it has begun, and does not end for ten minutes, whoever asks it to."""

    def __init__(self, began: Path) -> None:
        self._began = began

    def encode(self, width: int, height: int, pixels: bytes, stopped: object = None) -> npt.NDArray[np.float32]:
        self._began.touch()
        time.sleep(600)
        raise RuntimeError("not reached")

    def close(self) -> None:
        pass


def seeing_slowly(model: ModelSettings, engine: EngineSettings, progress: Progress) -> OpenedModel:
    return replace(good(model, engine, progress), encoder=SlowEncoder(model.path))


def damaged(model: ModelSettings, engine: EngineSettings, progress: Progress) -> OpenedModel:
    raise ModelFileError(model.path, "is truncated", "Download it again.")


def surprising(model: ModelSettings, engine: EngineSettings, progress: Progress) -> OpenedModel:
    raise KeyError("nobody thought of this")


def aborting(model: ModelSettings, engine: EngineSettings, progress: Progress) -> OpenedModel:
    os.write(2, b"loading\nfake.c:7: GGML_ASSERT(n > 0) failed\n")
    os.abort()


def killed(model: ModelSettings, engine: EngineSettings, progress: Progress) -> OpenedModel:
    os.kill(os.getpid(), signal.SIGKILL)
    raise RuntimeError("not reached")


def good_once(model: ModelSettings, engine: EngineSettings, progress: Progress) -> OpenedModel:
    """Loads the first time; `model.path` is where it remembers that."""
    if model.path.exists():
        raise ModelFileError(model.path, "is gone", "Get it again.")
    model.path.touch()
    return good(model, engine, progress)


def endless(model: ModelSettings, engine: EngineSettings, progress: Progress) -> OpenedModel:
    progress(0.5)
    time.sleep(600)
    raise RuntimeError("not reached")


def garbled(model: ModelSettings, engine: EngineSettings, progress: Progress) -> OpenedModel:
    _write_to_pipe(b"\x04\0\0\0junk")
    return endless(model, engine, progress)


def mute(model: ModelSettings, engine: EngineSettings, progress: Progress) -> OpenedModel:
    """Closes its end of the pipe and lives on."""
    _pipe_to_service()._file.close()
    time.sleep(600)
    raise RuntimeError("not reached")
