"""How fast a model reads and writes, by llama-bench's method: random tokens, one warm-up, then repetitions"""

import random
import time
from collections.abc import Sequence
from typing import Any

from ggufrun.compare.scoring.contexts import Contexts
from ggufrun.compare.scoring.decoding import Tick, clear, feed, step
from ggufrun.engine.backend import Backend, Run

Json = dict[str, Any]


class Stopwatch:
    """Times prompt processing and token generation behind a number of tokens, again and again."""

    def __init__(self, backend: Backend, depth: int, seed: int = 0) -> None:
        self._backend, self._depth = backend, depth
        self._random = random.Random(seed)

    def prompt(self, count: int) -> float:
        """Tokens a second of a prompt whose last token's logits are wanted."""
        self._rewind()
        tokens = self._tokens(count)
        start = time.perf_counter()
        feed(self._backend, 0, tokens, self._depth)
        self._backend.logits(0)  # waits for the computation
        return count / (time.perf_counter() - start)

    def generation(self, count: int) -> float:
        """Tokens a second, one after the other; nothing is sampled."""
        self._rewind()
        tokens = self._tokens(count)
        start = time.perf_counter()
        for at, token in enumerate(tokens, self._depth):
            step(self._backend, [Run(0, at, [token], 1)])
            self._backend.logits(0)
        return count / (time.perf_counter() - start)

    def _rewind(self) -> None:
        """Only what is before the depth is left; computed anew where it cannot be kept."""
        if self._depth and self._backend.truncate(0, self._depth) and self._backend.covers(0, self._depth):
            return
        clear(self._backend, [0])
        feed(self._backend, 0, self._tokens(self._depth))

    def _tokens(self, count: int) -> list[int]:
        return self._random.choices(range(self._backend.limits.vocabulary), k=count)


def speed(contexts: Contexts, pp: int, tg: int, depths: Sequence[int], reps: int, tick: Tick) -> Json:
    """Tokens a second of each repetition: behind nothing, and behind each of the depths."""
    found: dict[int, dict[str, list[float]]] = {}
    rounds = 2 * reps
    for index, depth in enumerate(depths):
        watch = Stopwatch(contexts.empty(depth + max(pp, tg)), depth)
        times: dict[str, list[float]] = {"pp": [], "tg": []}
        watch.prompt(pp)  # not counted
        for rep in range(reps):
            times["pp"].append(watch.prompt(pp))
            tick(rounds * index + rep + 1, rounds * len(depths))
        watch.generation(1)  # not counted
        for rep in range(reps):
            times["tg"].append(watch.generation(tg))
            tick(rounds * index + reps + rep + 1, rounds * len(depths))
        found[depth] = times
    return {**found.pop(0, {"pp": [], "tg": []}), "depths": {str(depth): times for depth, times in found.items()}}
