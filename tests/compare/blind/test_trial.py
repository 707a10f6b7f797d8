"""Blind tests as values: shuffled sides, votes, what is left out, and the sentence in the end."""

import json
from pathlib import Path

import pytest

from ggufrun.compare.blind.file import read, write
from ggufrun.compare.blind.outcome import as_json, sentence
from ggufrun.compare.blind.prompts import read_prompts
from ggufrun.compare.blind.trial import BlindTest, Item, Shown
from ggufrun.compare.statistics.proportions import wilson
from ggufrun.errors import OptionError


def answered(count: int, *, seed: int = 1) -> BlindTest:
    """Each answer says who wrote it."""
    items = [Item(f"prompt {at}", a=f"A{at}", b=f"B{at}") for at in range(count)]
    return BlindTest.begun("small", "large", items, seed=seed)


def prefer(test: BlindTest, *letters: str) -> BlindTest:
    """Vote for the answer of A or B, wherever it stands; T: a tie."""
    for letter in letters:
        shown = test.next()
        assert shown is not None
        test = test.voted("tie" if letter == "T" else "left" if shown.left.startswith(letter) else "right")
    return test


def test_sides_are_shuffled_and_the_same_another_day() -> None:
    left = [answered(200).left_of(at) for at in range(200)]
    assert 70 < left.count("a") < 130
    assert left == [answered(200).left_of(at) for at in range(200)]
    assert left != [answered(200, seed=2).left_of(at) for at in range(200)]
    test, sides = answered(200), []
    while (shown := test.next()) is not None:
        sides.append({"A": "a", "B": "b"}[shown.left[0]])
        test = test.voted("tie")
    assert sides == left


def test_votes_are_counted_for_who_was_shown_there() -> None:
    test = prefer(answered(40), *"A" * 20, *"B" * 12, *"T" * 8)
    tally = test.tally()
    assert (tally.a, tally.b, tally.ties, tally.decided) == (20, 12, 8, 32)
    assert 0 < tally.left < 32
    assert test.next() is None
    assert test.voted("left") is test


def test_the_last_vote_is_taken_back() -> None:
    test = prefer(answered(3), "A", "B")
    back = test.undone()
    assert back.next() == Shown(2, 3, "prompt 1", *_sides(test, 1))
    assert back.tally().b == 0
    assert prefer(back, "A").tally() == prefer(answered(3), "A", "A").tally()
    assert answered(3).undone() == answered(3)
    assert prefer(answered(1), "A").undone() == answered(1)


def _sides(test: BlindTest, at: int) -> tuple[str, str]:
    a, b = test.items[at].a or "", test.items[at].b or ""
    return (a, b) if test.left_of(at) == "a" else (b, a)


def test_same_and_missing_answers_are_not_shown() -> None:
    items = [Item("one", a="x  y\n", b=" x y"), Item("two", a="x"), Item("three", a="x", b="y"), Item("four")]
    test = BlindTest.begun("a", "b", items, seed=0)
    assert (test.missing("a"), test.missing("b")) == ([3], [1, 3])
    test = test.failed(3, "too long")
    assert (test.missing("a"), test.missing("b")) == ([], [1])
    shown = test.next()
    assert shown is not None
    assert (shown.prompt, shown.number, shown.of) == ("three", 1, 1)
    shown = test.answered(1, "b", "z").next()
    assert shown is not None
    assert (shown.prompt, shown.number, shown.of) == ("two", 1, 2)
    tally = test.tally()
    assert (tally.same, tally.failed) == (1, 1)


def test_what_the_votes_say() -> None:
    test = prefer(answered(45), *"A" * 26, *"B" * 15, *"T" * 4)
    rate = wilson(26, 41)
    assert rate.lo is not None and rate.hi is not None and rate.lo < 0.5
    shares = f"63 % ({rate.lo * 100:.0f} to {rate.hi * 100:.0f} %) of 41 decided votes"
    assert sentence(test) == f"small wins {shares}: that may be chance, more votes would tell; 4 ties."
    sure = prefer(answered(30), *"B" * 28, *"A" * 2)
    assert sentence(sure) == "large wins 93 % (79 to 98 %) of 30 decided votes: it is better than small to you."
    assert "level, 50 % (" in sentence(prefer(answered(2), "A", "B"))
    none = BlindTest.begun("small", "large", [Item("p", a="x", b="x")], seed=0)
    assert sentence(none) == "No vote decides between small and large; 1 prompt with the same answers."


def test_the_result_as_json() -> None:
    found = as_json(prefer(answered(4), "A", "A", "B", "T"))
    assert found["votes"] == {"a": 2, "b": 1, "ties": 1}
    assert found["win_rate"] == pytest.approx(2 / 3)
    assert found["win_rate_lo"] < 2 / 3 < found["win_rate_hi"]
    assert [each["verdict"] for each in found["items"]] == ["a", "a", "b", "tie"]
    assert as_json(answered(2))["win_rate"] is None
    assert json.loads(json.dumps(found)) == found


def test_a_test_goes_on_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "test.json"
    assert read(path) is None
    items = [Item("p", (("system", "Be short."), ("user", "Hi")), a="A", b="B"), Item("q", a="A2")]
    test = BlindTest.begun("small", "large", items, seed=7, settings={"max_tokens": 8}).voted("left")
    write(path, test)
    assert read(path) == test
    assert json.loads(path.read_text())["result"]["sentence"] == sentence(test)
    assert [each.name for each in path.parent.iterdir()] == ["test.json"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"blind_test": 2}',
        '{"blind_test": 1, "test": {"a": "x"}}',
        '{"blind_test": 1, "test": {"a": "x", "b": "y", "items": [{"prompt": 1, "before": []}]}}',
    ],
)
def test_a_foreign_file_is_not_written_over(tmp_path: Path, content: str) -> None:
    path = tmp_path / "test.json"
    path.write_text(content)
    with pytest.raises(OptionError, match="Move the file away"):
        read(path)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.txt", "One?\n\n Two? \nOne?\n", ("One?", "Two?")),
        ("a.md", "One\nmore\n---\n\n---\nTwo\n", ("One\nmore", "Two")),
        ("a.json", '["One?", {"prompt": "Two?"}]', ("One?", "Two?")),
        (
            "a.jsonl",
            '{"prompt": "One?"}\n\n{"messages": [{"role": "system", "content": "no"}, '
            '{"role": "user", "content": "Two?"}]}',
            ("One?", "Two?"),
        ),
        ("b.jsonl", '{"prompt": "One\u2028more?"}\r\n{"prompt": "Two?"}\r\n', ("One\u2028more?", "Two?")),
    ],
)
def test_prompts_from_files(tmp_path: Path, name: str, text: str, expected: tuple[str, ...]) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert read_prompts(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("none.txt", None, "No such file"),
        ("a.txt", b"\xff\xfe", "not UTF-8"),
        ("a.txt", b" \n", "no prompt"),
        ("a.json", b"{}", "a list is wanted"),
        ("a.json", b'[{"text": "x"}]', "“prompt”"),
        ("a.jsonl", b"One?", "no JSON"),
    ],
)
def test_files_without_prompts(tmp_path: Path, name: str, content: bytes | None, why: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(OptionError, match=why):
        read_prompts(tmp_path / name)
