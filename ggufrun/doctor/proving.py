"""A process's main: loads a model onto the GPU or off it, and measures memory and speed, as JSON. `proof` asks it."""

import sys
import time
from pathlib import Path
from typing import Any, Final

from ggufrun.doctor.asking import answer, refuse
from ggufrun.engine.backend import DecodeStatus, Run
from ggufrun.errors import EngineError, GgufrunError
from ggufrun.llama import devices
from ggufrun.llama.backend import LlamaBackend
from ggufrun.settings import EngineSettings, ModelSettings

_CONTEXT: Final = 512  # tokens
_PROMPT: Final = 128
_LONGEST_S: Final = 1.0  # of each measurement; a busy machine is not kept longer than it takes to see that
_MOST: Final = 128  # tokens generated at most


def main() -> None:
    path, where = Path(sys.argv[1]), sys.argv[2]
    # No device at all on the CPU's turn: with layers at 0 a GPU would still help with the prompt.
    chosen: dict[str, Any] = {"gpu_layers": 0, "devices": ("none",)} if where == "cpu" else {}
    settings = ModelSettings(path, context=_CONTEXT, mmap=False, **chosen)
    try:
        answer(measured(settings))
    except GgufrunError as error:
        refuse(error)


def measured(settings: ModelSettings) -> dict[str, Any]:
    """Free bytes of each GPU before the load, with the model there and after it, and tokens a second."""
    before = _free()
    backend = LlamaBackend.load(settings, EngineSettings(parallel=1, cached_sequences=0))
    loaded = _free()
    weights = backend.model.describe().size
    try:
        prompt, generated = _prompt_speed(backend), _speed(backend)
    finally:
        backend.close()
    return {
        "weights": weights,
        "before": before,
        "loaded": loaded,
        "after": _free(),
        "prompt_tok_s": prompt,
        "tok_s": generated,
    }


def _free() -> dict[str, int]:
    return {device.name: device.free for device in devices.devices() if not device.is_cpu}


def _prompt_speed(backend: LlamaBackend) -> float:
    """The second of two rounds counts: the first one touches memory, and compiles what a GPU runs."""
    seconds = 0.0
    for _ in range(2):
        if seconds < _LONGEST_S:
            backend.truncate(0, 0)
            started = time.perf_counter()
            _decode(backend, 0, [_token(backend, at) for at in range(_PROMPT)])
            seconds = time.perf_counter() - started
    return _PROMPT / seconds


def _speed(backend: LlamaBackend) -> float:
    _decode(backend, _PROMPT, [_token(backend, 1)])
    started, done = time.perf_counter(), 0
    while done < _MOST and (done < 4 or time.perf_counter() - started < _LONGEST_S):
        done += 1
        _decode(backend, _PROMPT + done, [_token(backend, done)])
    return done / (time.perf_counter() - started)


def _decode(backend: LlamaBackend, start: int, tokens: list[int]) -> None:
    if backend.decode([Run(seq=0, start=start, tokens=tokens, outputs=1)]) is not DecodeStatus.OK:
        raise EngineError("llama.cpp could not compute with the model.", "Try another build of it.")
    float(backend.logits(0)[0])  # waits for the device


def _token(backend: LlamaBackend, at: int) -> int:
    return 3 + at * 37 % (backend.limits.vocabulary - 3)


if __name__ == "__main__":
    main()
