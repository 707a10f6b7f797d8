"""Greedy answers of several prompts at once, and of two models side by side."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ggufrun.compare.scoring.contexts import Contexts
from ggufrun.compare.scoring.files import Written
from ggufrun.compare.scoring.write import write
from ggufrun.errors import InputError
from ggufrun.llama.vocabulary import LlamaVocabulary
from ggufrun.settings import ModelSettings
from tests.compare.scoring.conftest import nothing, tokens
from tests.compare.scoring.test_score import all_log_p
from tests.llama.steps import generate

MOST = 10


@pytest.fixture(scope="module")
def tekken(tiny_model: Callable[[str], Path]) -> Iterator[Contexts]:
    """A tiny mistral3 with the real vocabulary of 131,072 tokens."""
    contexts = Contexts.load(ModelSettings(tiny_model("mistral3-v13"), context=256, threads=1))
    yield contexts
    contexts.close()


@pytest.fixture(scope="module")
def prompts(demo_path: Path) -> list[list[int]]:
    vocabulary = LlamaVocabulary.from_path(demo_path)
    said = ["Say hello.", "What is 2+2?", "Name three colours.", "Write one word.", "Who was Ada Lovelace?"]
    turns = [f"<|im_start|>user\n{each}<|im_end|>\n<|im_start|>assistant\n" for each in said]
    prompts = [vocabulary.tokenize(each, special=True) for each in turns]
    vocabulary.close()
    return prompts


@pytest.fixture(scope="module")
def reference(demo: Contexts, prompts: list[list[int]]) -> Written:
    return write(demo, prompts, MOST, None, nothing)


def test_answers_are_those_of_one_by_one(demo: Contexts, prompts: list[list[int]], reference: Written) -> None:
    answers = reference.answers()
    for number, prompt in enumerate(prompts):
        expected = generate(demo.empty(256), 0, prompt, MOST)
        assert answers[number] == expected
        ended = reference.end[number] >= 0
        assert ended == (len(expected) < MOST) and np.isnan(reference.end_p[number]) != ended


def test_each_token_has_its_probability_and_the_next_best(tekken: Contexts) -> None:
    prompts = [tokens(9, vocabulary=100_000, seed=seed) for seed in (20, 21, 22)]
    found = write(tekken, prompts, 5, None, nothing)
    for number, (prompt, answer) in enumerate(zip(prompts, found.answers(), strict=True)):
        log_p = all_log_p(tekken, prompt + answer)[len(prompt) - 1 :]
        for i, token in enumerate(answer):
            place = found.offsets[number] + i
            assert found.p_top[place] == pytest.approx(np.exp(log_p[i, token]), rel=0.01)
            best = np.argsort(-log_p[i])[:8]
            assert found.top_p[place].tolist() == pytest.approx(np.exp(log_p[i, best]).tolist(), rel=0.01)
            assert found.top_ids[place, 0] == token
    assert np.array_equal(found.top_p[:, 0], found.p_top)


def test_the_reference_follows_itself_to_the_end(demo: Contexts, prompts: list[list[int]], reference: Written) -> None:
    again = write(demo, prompts, MOST, reference, nothing)
    assert again.answers() == reference.answers()
    assert again.agreed.tolist() == np.diff(reference.offsets).tolist()
    assert np.isnan(again.p_of_reference).all()


def test_where_two_models_part(tekken: Contexts, tiny_model: Callable[[str], Path]) -> None:
    """Two models of one vocabulary with different weights: they part at once, mostly."""
    asked = [tokens(12, vocabulary=100_000, seed=seed) for seed in range(10)]
    first = write(tekken, asked, 6, None, nothing)
    other = Contexts.load(ModelSettings(tiny_model("mistral3-v7"), context=256, threads=1))
    try:
        found = write(other, asked, 6, first, nothing)
        theirs, own = first.answers(), found.answers()
        for number, prompt in enumerate(asked):
            agreed = int(found.agreed[number])
            assert own[number][:agreed] == theirs[number][:agreed]
            if np.isnan(found.p_of_reference[number]):
                assert own[number] == theirs[number]
                continue
            log_p = all_log_p(other, prompt + own[number][:agreed])[-1]
            assert found.p_of_reference[number] == pytest.approx(np.exp(log_p[theirs[number][agreed]]), rel=0.05)
        assert (found.agreed < 6).any()
    finally:
        other.close()


def test_an_answer_that_ends_is_left_by_one_that_does_not(demo: Contexts, prompts: list[list[int]]) -> None:
    """The other's end is a token like others: it has a probability."""
    ends = Written(
        tokens=np.empty(0, np.int32),
        offsets=np.zeros(2, np.int64),
        p_top=np.empty(0, np.float32),
        top_ids=np.empty((0, 8), np.int32),
        top_p=np.empty((0, 8), np.float32),
        end=np.array([2], np.int32),
        end_p=np.ones(1, np.float32),
        agreed=np.zeros(1, np.int32),
        p_of_reference=np.full(1, np.nan, np.float32),
    )
    found = write(demo, prompts[:1], 3, ends, nothing)
    assert found.agreed.tolist() == [0]
    expected = np.exp(all_log_p(demo, prompts[0])[-1, 2])
    assert found.p_of_reference[0] == pytest.approx(expected, rel=0.05)


def test_many_prompts_of_any_length_are_answered(tiny: Contexts) -> None:
    """More than eight, and more than the context holds at once: in groups, one prompt longer than it."""
    asked = [tokens(3 + 40 * (seed % 3), seed=seed) for seed in range(19)] + [tokens(600, seed=99)]
    said: list[tuple[int, int]] = []
    found = write(tiny, asked, 4, None, lambda done, of: said.append((done, of)))
    assert len(found.answers()) == len(found.end) == 20
    assert said[-1] == (80, 80) and said == sorted(said)
    for number in (0, 18, 19):
        assert found.answers()[number] == generate(tiny.empty(604), 0, asked[number], 4)


def test_what_cannot_be_answered_is_refused(tiny: Contexts) -> None:
    with pytest.raises(InputError, match="no tokens"):
        write(tiny, [[5], []], 4, None, nothing)
    follow = write(tiny, [[5]], 2, None, nothing)
    with pytest.raises(InputError, match="other prompts"):
        write(tiny, [[5], [6]], 2, follow, nothing)
