"""How the card's sampling defaults, those of a reasoning effort too, come into a request's settings."""

from pathlib import Path

from ggufrun.chat.compile import settle
from ggufrun.chat.types import AnswerSettings, ChatOptions, ChatRequest
from ggufrun.opening.loading import answer_settings
from ggufrun.userconfig import ModelDefaults
from ggufrun.weights.cards import Card, read_card
from tests.weights.test_cards import CARD

SAMPLING = """
[sampling]
temperature = 0.2
top_p = 0.9
[sampling.effort.high]
temperature = 1.0
"""


def card(folder: Path) -> Card:
    (folder / "tiny.toml").write_text(CARD + SAMPLING)
    return read_card(folder / "tiny.toml")


def settled(defaults: AnswerSettings, **options: object) -> tuple[float, float]:
    settings = settle(ChatRequest((), ChatOptions(**options)), defaults)[1]  # type: ignore[arg-type]
    return settings.temperature, settings.top_p


def test_an_effort_has_its_own_numbers_over_the_cards(tmp_path: Path) -> None:
    defaults = answer_settings(card(tmp_path), ModelDefaults())
    assert settled(defaults) == settled(defaults, reasoning_effort="none") == (0.2, 0.9)
    assert settled(defaults, reasoning_effort="high") == settled(defaults, reasoning_effort="medium") == (1.0, 0.9)
    assert settled(defaults, reasoning_effort="high", temperature=0.5) == (0.5, 0.9)


def test_what_the_user_wrote_holds_at_every_effort(tmp_path: Path) -> None:
    defaults = answer_settings(card(tmp_path), ModelDefaults(chat={"temperature": 0.4}))
    assert settled(defaults) == settled(defaults, reasoning_effort="high") == (0.4, 0.9)
    effort = answer_settings(card(tmp_path), ModelDefaults(chat={"reasoning_effort": "high"}))
    assert settled(effort) == (1.0, 0.9)
    assert settled(effort, reasoning_effort="none") == (0.2, 0.9)


def test_without_a_card_there_is_nothing_to_differ() -> None:
    assert answer_settings(None, ModelDefaults()) == AnswerSettings()
