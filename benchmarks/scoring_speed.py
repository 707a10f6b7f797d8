"""What scoring costs beside the plain decode of the same tokens with the same outputs.

usage: python -m benchmarks.scoring_speed [MODEL.gguf] [ROUNDS]   (the demo model and 9 rounds unless given)
Both ways of scoring, to keep the reference and against what is kept, alternate with the plain decode of one chunk of
512 random tokens, 256 of them with outputs. Prints medians, and the median of each round's ratio.
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ggufrun.compare.scoring.base_file import BaseReader, BaseWriter
from ggufrun.compare.scoring.contexts import Contexts
from ggufrun.compare.scoring.decoding import clear, step
from ggufrun.compare.scoring.files import Text, read_tokens, write_tokens
from ggufrun.compare.scoring.score import Against, Judge, Keeper, score
from ggufrun.engine.backend import Backend, Run
from ggufrun.settings import ModelSettings
from ggufrun.store.resolve import resolve
from ggufrun.weights.folders import default_data_folder

ROWS, OUTPUTS = 512, 256


class Rounds:
    """One chunk on one backend, decoded plainly or scored."""

    def __init__(self, contexts: Contexts, folder: Path) -> None:
        self._backend: Backend = contexts.empty(ROWS)
        self._threads = contexts.threads
        self._vocabulary = self._backend.limits.vocabulary
        tokens = random.Random(0).choices(range(self._vocabulary), k=ROWS)
        write_tokens(folder / "text.npz", [tokens], [ROWS - OUTPUTS], [0])
        self._text: Text = read_tokens(folder / "text.npz")
        self._base = folder / "base.npz"

    def decode(self) -> None:
        clear(self._backend, [0])
        step(self._backend, [Run(0, 0, self._text.tokens.tolist(), OUTPUTS)])
        self._backend.logits(0)  # waits for the computation

    def keep(self) -> None:
        with BaseWriter(self._base, self._text.digest(), self._vocabulary) as writer:
            keeper = Keeper(writer)
            self._score(keeper)
            keeper.finish()

    def compare(self) -> None:
        with BaseReader(self._base) as base:
            self._score(Against(base, self._text, self._vocabulary))

    def _score(self, judge: Judge) -> None:
        score(self._backend, self._text, judge, batch=ROWS, threads=self._threads, tick=lambda done, of: None)


def seconds(do: Callable[[], None]) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def main(spec: str = "demo", rounds: str = "9") -> None:
    contexts = Contexts.load(ModelSettings(resolve(spec, default_data_folder()).path, context=ROWS))
    try:
        with tempfile.TemporaryDirectory() as folder:
            chunk = Rounds(contexts, Path(folder))
            ways = {"decode": chunk.decode, "keep": chunk.keep, "compare": chunk.compare}
            times = [{name: seconds(do) for name, do in ways.items()} for _ in range(int(rounds) + 1)][1:]
    finally:
        contexts.close()
    decode = statistics.median(each["decode"] for each in times)
    print(f"{ROWS} tokens, {OUTPUTS} outputs: decode {1e3 * decode:.0f} ms", end="")
    for name in ("keep", "compare"):
        median = statistics.median(each[name] for each in times)
        ratio = statistics.median(each[name] / each["decode"] for each in times)
        print(f", {name} {1e3 * median:.0f} ms ({ratio:.2f}x)", end="")
    print()


if __name__ == "__main__":
    main(*sys.argv[1:])
