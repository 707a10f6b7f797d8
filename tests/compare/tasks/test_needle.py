"""Codes hidden in long texts: where they stand, how long the prompts are, and which answers are right"""

from collections import Counter
from pathlib import Path

import pytest

from ggufrun.chat.prompt import prompt_encoder
from ggufrun.chat.types import ChatRequest, Message
from ggufrun.compare.tasks.needle import ANSWER, Item, items, lengths, outcomes
from ggufrun.compare.tasks.outcomes import Outcome, paired, passed
from ggufrun.errors import OptionError
from ggufrun.llama.vocabulary import LlamaVocabulary
from tests.compare.tasks.tokenizers import Words, letters, prose


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        (511, ()),
        (512, (512,)),
        (1000, (512, 1000)),
        (4096, (512, 1024, 2048, 4096)),
        (5000, (512, 1024, 2048, 4096, 5000)),
    ],
)
def test_lengths_double_up_to_the_context(context: int, expected: tuple[int, ...]) -> None:
    assert lengths(context) == expected


def test_each_length_and_depth_has_as_many() -> None:
    found = items([prose(3000)], Words(), (512, 1024), count=60)
    groups = Counter(item.group for item in found)
    assert groups == {f"{length} tokens at {depth} %": 10 for length in (512, 1024) for depth in (10, 50, 90)}
    assert len({item.id for item in found}) == 60


@pytest.mark.parametrize("encode", [Words(), letters])
def test_prompts_leave_room_for_the_answer_and_no_more_than_they_must(encode: Words) -> None:
    for item in items([prose(3000)], encode, (512, 2048), count=30):
        length = int(item.group.split()[0])
        assert 0.9 * length - ANSWER <= len(item.prompt) <= length - ANSWER


def test_the_code_stands_once_where_it_should() -> None:
    words = Words()
    for item in items([prose(3000)], words, (1024,), count=30):
        text = words.text(item.prompt)
        assert text.count(item.code) == 1
        depth = int(item.group.split()[-2]) / 100
        hay = text.partition("\n\n")[2].rpartition("\n\n")[0]
        assert abs(hay.index(item.code) / len(hay) - depth) < 0.08
        thing = text.split(" is " + item.code)[0].split("code of the ")[-1]
        assert text.endswith(f"What is the code of the {thing}? Answer with the code only.")


def test_a_sentence_is_not_cut_in_two() -> None:
    words = Words()
    for item in items([prose(3000)], words, (1024,), count=12):
        before = words.text(item.prompt).split(" The code of")[0].rstrip()
        assert before.endswith(".")


def test_short_texts_are_repeated_and_any_script_will_do() -> None:
    for text in ("Only this.", "林檎は赤い。" * 3, "x"):
        for item in items([text], letters, (600,), count=6):
            assert 500 <= len(item.prompt) <= 600 - ANSWER


def test_the_same_seed_hides_the_same() -> None:
    words = Words()
    assert items([prose(500)], words, (512,), count=9) == items([prose(500)], words, (512,), count=9)
    codes = [{item.code for item in items([prose(500)], words, (512,), count=9, seed=seed)} for seed in (0, 1)]
    assert not codes[0] & codes[1]


def test_what_is_missing_is_said() -> None:
    with pytest.raises(OptionError, match="needs a text, and a context of 512"):
        items([" "], letters, (512,), count=1)
    with pytest.raises(OptionError, match="needs a text, and a context of 512"):
        items(["text"], letters, lengths(500), count=1)
    with pytest.raises(OptionError, match="does not fit into 100 tokens"):
        items(["text"], letters, (100,), count=1)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("1234567", True),
        ("The code is 1234567.", True),
        ("1,234,567", True),
        ("123 4567", True),
        ("1234576", False),
        ("123456", False),
        ("", False),
    ],
)
def test_an_answer_is_right_if_it_has_the_code(answer: str, right: bool) -> None:
    item = Item("needle-0", "512 tokens at 10 %", (1, 2), "1234567")
    assert outcomes([item], [answer]) == [Outcome("needle-0", right, item.group, answer=answer)]


def test_lengths_and_depths_at_which_the_reference_finds_little_are_left_out() -> None:
    asked = [Item(str(number), "far" if number > 2 else "near", (1,), f"{number}234567") for number in range(1, 6)]
    reference = outcomes(asked, ["1234567", "?", "3234567", "?", "?"])
    found = paired(outcomes(asked, ["1234567", "2234567", "?", "?", "?"]), reference, groups=passed(reference))
    assert (found.outcomes, found.reference) == ((True, True), (True, False))


@pytest.mark.model
def test_the_real_vocabulary_in_its_own_chat_format(demo_path: Path) -> None:
    vocabulary = LlamaVocabulary.from_path(demo_path)
    encoder = prompt_encoder(vocabulary)

    def encode(text: str) -> tuple[int, ...]:
        return encoder.encode(ChatRequest((Message(role="user", content=text),))).tokens

    license = (Path(__file__).parents[3] / "LICENSE").read_text()
    found = items([license], encode, lengths(2048), count=18)
    for item in found:
        length = int(item.group.split()[0])
        assert 0.9 * length - ANSWER <= len(item.prompt) <= length - ANSWER
        text = b"".join(map(vocabulary.piece, item.prompt)).decode()
        assert text.count(item.code) == 1 and text.endswith("<|im_start|>assistant\n")
    vocabulary.close()
