"""Choices of how a context goes on, against their sequences scored whole and alone."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from ggufrun.compare.scoring.choose import choose
from ggufrun.compare.scoring.contexts import Contexts
from ggufrun.compare.scoring.files import Item
from ggufrun.errors import InputError
from ggufrun.settings import ModelSettings
from tests.compare.scoring.conftest import nothing, tokens
from tests.compare.scoring.test_score import all_log_p


def alone(contexts: Contexts, item: Item) -> list[float]:
    found = []
    for choice in item.choices:
        log_p = all_log_p(contexts, item.context + choice)
        first = len(item.context) - 1
        found.append(float(np.mean([log_p[first + i, token] for i, token in enumerate(choice)])))
    return found


def items(lengths: Sequence[tuple[int, Sequence[int]]], vocabulary: int = 512) -> list[Item]:
    return [
        Item(
            tokens(context, vocabulary=vocabulary, seed=number),
            [tokens(length, vocabulary=vocabulary, seed=100 * number + k) for k, length in enumerate(choices)],
        )
        for number, (context, choices) in enumerate(lengths, 1)
    ]


def test_choices_are_scored_as_if_alone(demo: Contexts) -> None:
    asked = items([(30, [1, 1, 1, 1]), (5, [3, 1, 7])], vocabulary=40_000)
    found = choose(demo, asked, nothing)
    assert found.dtype == np.float32
    assert found.tolist() == pytest.approx([each for item in asked for each in alone(demo, item)], abs=0.02)


def test_more_tokens_than_a_batch_has(tiny: Contexts) -> None:
    """Choices that fill several batches, one of them longer than a batch."""
    asked = items([(40, [300, 250, 2, 600]), (700, [2, 3])])
    found = choose(tiny, asked, nothing)
    expected = [value for item in asked for value in alone(tiny, item)]
    assert found.tolist() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("kind", ["recurrent-tiny", "mistral3-v13"])
def test_models_of_other_kinds(tiny_model: Callable[[str], Path], kind: str) -> None:
    contexts = Contexts.load(ModelSettings(tiny_model(kind), context=256, threads=1))
    try:
        asked = items([(20, [2, 1, 4]), (3, [5])])
        said: list[tuple[int, int]] = []
        found = choose(contexts, asked, lambda done, of: said.append((done, of)))
        assert found.tolist() == pytest.approx([v for item in asked for v in alone(contexts, item)], abs=0.02)
        assert said == [(1, 2), (2, 2)]
    finally:
        contexts.close()


def test_nothing_to_score_is_refused_and_no_items_are_none(tiny: Contexts) -> None:
    for broken in (Item([], [[1]]), Item([1], [[1], []])):
        with pytest.raises(InputError, match="no tokens"):
            choose(tiny, [broken], nothing)
    assert choose(tiny, [], nothing).shape == (0,)
