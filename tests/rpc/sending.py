"""`python -m tests.rpc.sending FILE HOST:PORT`: a step of each kind for each line of its input, and a line for its end.

A process of its own: llama.cpp ends its client's where a worker breaks off, and a worker stays among ggml's devices.
"""

import sys
from pathlib import Path

from ggufrun.engine.backend import Run
from ggufrun.llama.backend import LlamaBackend
from ggufrun.settings import EngineSettings, ModelSettings

ROWS = 32


def main(path: Path, worker: str) -> None:
    settings = ModelSettings(path, context=512, threads=1, rpc=(worker,))
    backend = LlamaBackend.load(settings, EngineSettings(parallel=1))
    start = 0
    for word in map(str.strip, sys.stdin):
        backend.decode([Run(0, start, [5] * ROWS, int(word == "read"))])
        start += ROWS
        if word == "read":
            backend.logits(0)
        print(word, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
