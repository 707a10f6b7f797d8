"""How likely a model finds each of several ways to go on: the mean log-probability of their tokens"""

from collections.abc import Iterator, Sequence

import numpy as np

from ggufrun.compare.scoring.contexts import Contexts
from ggufrun.compare.scoring.decoding import Tick, clear, feed, step
from ggufrun.compare.scoring.distribution import Distribution
from ggufrun.compare.scoring.files import Float32s, Item
from ggufrun.engine.backend import Backend, Run
from ggufrun.errors import InputError


def choose(contexts: Contexts, items: Sequence[Item], tick: Tick) -> Float32s:
    """Of all choices of all items, in their order; nan where a logit was not finite."""
    if not all(item.context and all(item.choices) for item in items):
        raise InputError("A context or a choice has no tokens.", "Leave its item out.")
    backend = contexts.empty(
        max((len(item.context) + sum(map(len, item.choices)) for item in items), default=1),
        sequences=1 + max((len(item.choices) for item in items), default=0),
    )
    found: list[float] = []
    for done, item in enumerate(items, 1):
        found += _of_item(backend, item)
        tick(done, len(items))
    return np.array(found, np.float32)


def _of_item(backend: Backend, item: Item) -> list[float]:
    """The context is computed once; each choice goes on from it in a sequence of its own."""
    clear(backend)  # what the last item left would take the cells of this one
    feed(backend, 0, item.context)
    after = Distribution.of(backend.logits(0))
    log_p = [[_log_p(after, choice[0])] for choice in item.choices]
    for seq, choice in enumerate(item.choices, 1):
        if len(choice) > 1:
            backend.copy(0, seq, len(item.context))
    for runs in _batches(item, backend.limits.batch):
        step(backend, runs)
        row = 0
        for run in runs:
            choice, first = item.choices[run.seq - 1], run.start - len(item.context)
            for token in choice[first + 1 : first + 1 + run.outputs]:
                log_p[run.seq - 1].append(_log_p(Distribution.of(backend.logits(row)), token))
                row += 1
    return [sum(each) / len(each) for each in log_p]


def _batches(item: Item, size: int) -> Iterator[list[Run]]:
    """All tokens of all choices but their last ones, in batches."""
    runs: list[Run] = []
    room = size
    for seq, choice in enumerate(item.choices, 1):
        fed = choice[:-1]
        for at in range(0, len(fed), size):
            part = fed[at : at + size]
            if len(part) > room:
                yield runs
                runs, room = [], size
            runs.append(Run(seq, len(item.context) + at, part, len(part)))
            room -= len(part)
    if runs:
        yield runs


def _log_p(row: Distribution | None, token: int) -> float:
    return float("nan") if row is None else row.log_p(token)
