"""What else would be wholly on a GPU, by the cards alone: estimates that are near the files' real sizes."""

from pathlib import Path

import pytest

from ggufrun.fit.smaller import QUANTS, wholly_in
from ggufrun.weights.cards import Card, load_cards
from tests.fit.planned import machine_of

CARDS = tuple(card for card in load_cards([Path(__file__).parent.parent.parent / "models"]) if "stral" in card.name)

REAL = (  # bytes of published files
    ("mistral-small-3.2", "Q4_K_M", 14_333_922_848),
    ("mistral-small-3.2", "Q6_K", 19_345_952_288),
    ("devstral-small-2", "Q4_K_M", 14_334_446_752),
    ("ministral-3-14b", "Q4_K_M", 8_239_593_024),
    ("ministral-3-14b", "Q5_K_M", 9_621_091_904),
    ("ministral-3-8b", "Q8_0", 9_029_392_800),
    ("ministral-3-3b", "Q8_0", 3_652_204_704),
)


@pytest.mark.parametrize("name, quant, size", REAL)
def test_sizes_by_parameters_are_within_7_percent(name: str, quant: str, size: int) -> None:
    card = next(card for card in CARDS if card.name == name)
    assert card.parameters * dict(QUANTS)[quant] / 8 == pytest.approx(size, rel=0.07)


def test_a_24_gb_card_holds_a_mistral_small() -> None:
    found = wholly_in(machine_of(24), CARDS, 128_000_000_000)
    assert found is not None and {card.name for card in found.cards} >= {"mistral-small-3.2", "devstral-small-2"}
    assert found.weights < 20e9 and found.context >= 16_384 and 40 < found.tok_s < 70


def test_a_smaller_card_holds_a_smaller_model() -> None:
    names = []
    for size in (6, 12, 24, 96):
        found = wholly_in(machine_of(size), CARDS, 1 << 50)
        assert found is not None
        names.append(found.cards[0].parameters)
    assert names == sorted(names) and names[0] < names[-1]
    assert wholly_in(machine_of(1), CARDS, 1 << 50) is None
    assert wholly_in(machine_of(24), CARDS, 1_000_000) is None  # none is smaller


def test_without_a_gpu_ram_counts() -> None:
    found = wholly_in(machine_of(ram=16), CARDS, 1 << 50)
    assert found is not None and found.weights < 12e9 and found.tok_s < 15


def test_equals_are_named_together() -> None:
    twins: tuple[Card, ...] = tuple(card for card in CARDS if card.parameters < 30e9)
    found = wholly_in(machine_of(24), twins, 1 << 50)
    assert found is not None and len(found.cards) >= 2
