"""Multiple choice: questions out of texts and files, and what a model's log-probabilities make of them"""

import math
from collections import Counter
from pathlib import Path

import pytest

from ggufrun.compare.scoring.files import read_items, write_items
from ggufrun.compare.tasks.choices import items
from ggufrun.compare.tasks.multiple_choice import Items, Question, outcomes, question
from ggufrun.llama.vocabulary import LlamaVocabulary
from tests.compare.tasks.tokenizers import Words, letters, of_bytes, prose


def test_one_choice_is_how_the_text_goes_on() -> None:
    text, words = prose(4000), Words()
    found = items([text], words, bos=(99,), count=50)
    assert len(found.questions) == 50
    for asked in found.questions:
        assert asked.context[0] == 99
        context = words.text(asked.context[1:])
        goes_on = [f"{context}{words.text(choice)}" in text for choice in asked.choices]
        assert goes_on == [at == asked.right for at in range(4)]
        assert all(words.text(choice) in text and words.text(choice)[0] == " " for choice in asked.choices)


def test_no_choice_can_be_read_in_the_context() -> None:
    words = Words()
    for asked in items([prose(400)], words).questions:
        assert not any(words.text(choice) in words.text(asked.context) for choice in asked.choices)


def test_the_right_ones_stand_anywhere_and_always_the_same() -> None:
    found = items([prose(4000)], letters, count=100)
    assert set(Counter(asked.right for asked in found.questions)) == {0, 1, 2, 3}
    assert items([prose(4000)], letters, count=100) == found
    assert items([prose(4000)], letters, count=100, seed=1) != found
    assert len({asked.id for asked in found.questions}) == 100


def test_each_text_has_its_share() -> None:
    words = Words()
    found = items([prose(20_000, 1), prose(1000, 2)], words, count=20)
    kinds = Counter("word1" in words.text(asked.context) for asked in found.questions)
    assert kinds == {True: 10, False: 10}


@pytest.mark.parametrize("text", ["", "Too short.", prose(60), "same words again " * 500])
def test_a_text_without_room_or_that_repeats_itself_has_no_questions(text: str) -> None:
    assert items([text], letters).questions == ()


def test_a_language_without_spaces_is_cut_between_letters() -> None:
    text = "".join(chr(0x4E00 + (number * number) % 9973) for number in range(9000))
    found = items([text], letters, count=20)
    assert len(found.questions) == 20
    for asked in found.questions:
        assert "".join(map(chr, asked.context + asked.choices[asked.right])) in text


@pytest.mark.model
def test_the_real_vocabulary_and_the_scoring_processs_file(demo_path: Path, tmp_path: Path) -> None:
    vocabulary = LlamaVocabulary.from_path(demo_path)
    license = (Path(__file__).parents[3] / "LICENSE").read_text()
    found = items([license], lambda text: vocabulary.tokenize(text, special=False))
    assert len(found.questions) > 30
    for asked in found.questions:
        assert 60 <= len(asked.context) <= 64
        assert [len(choice) for choice in asked.choices] == [16] * 4
        whole = b"".join(map(vocabulary.piece, asked.context + asked.choices[asked.right])).decode()
        assert whole in license
    write_items(tmp_path / "items.npz", found.contexts, found.choices)
    read = read_items(tmp_path / "items.npz")
    assert [tuple(item.context) for item in read] == list(found.contexts)
    vocabulary.close()


THREE = Items(tuple(Question(str(number), (1,), ((2,), (3,), (4,))[: 3 - number % 2], 1) for number in range(3)))


def test_the_likeliest_choice_is_taken() -> None:
    found = outcomes(THREE, [-3, -1, -2, -1, -2, math.nan, -1, -9])
    assert [(each.item, each.right, each.answer) for each in found] == [
        ("0", True, "1"),
        ("1", False, "0"),
        ("2", True, "1"),
    ]


def test_what_is_not_finite_is_never_right() -> None:
    found = outcomes(THREE, [math.nan, math.nan, math.nan, -1, math.nan, -1, math.nan, math.nan])
    assert [each.right for each in found] == [False, False, False]
    first = Items((Question("q", (1,), ((2,), (3,)), 0),))
    assert [each.right for each in outcomes(first, [math.nan, math.nan])] == [False]
    assert outcomes(Items(()), []) == []


def test_figures_of_other_items_are_refused() -> None:
    with pytest.raises(ValueError, match="8 choices have 7"):
        outcomes(THREE, [0.0] * 7)


def test_tokens_that_join_where_words_meet_are_the_choices() -> None:
    """The tokenizer has pairs of letters: the context's last letter belongs to a token of the choices."""

    def pairs(text: str) -> list[int]:
        return [hash(text[at : at + 2]) for at in range(0, len(text), 2)]

    found = question("q", pairs, "abc", ["de", "fg"], 0)
    assert found.context == (hash("ab"),)
    assert found.choices == ((hash("cd"), hash("e")), (hash("cf"), hash("g")))


def test_a_choice_that_begins_another_keeps_a_token() -> None:
    found = question("q", of_bytes, "a", ["b", "bc"], 1)
    assert found.choices == ((98,), (98, 99))


def test_where_the_choices_share_no_token_there_is_no_question() -> None:
    assert items([prose(4000)], lambda text: [hash(text), *letters(text)]).questions == ()
