"""Repositories on the hub that hold GGUF files, each with the card that means it."""

from dataclasses import asdict
from typing import Any

from ggufrun.errors import OptionError
from ggufrun.hub.client import open_client
from ggufrun.hub.searching import Found, search
from ggufrun.library.local import places
from ggufrun.store.stored import card_of_repo
from ggufrun.weights.cards import Card


def searched(words: str, limit: int) -> list[tuple[Found, Card | None]]:
    """Raises OptionError, HubRefused, HubError."""
    if not words.strip():
        raise OptionError("There is no word to search for.", "Give a part of a name, as in ggufrun search ministral.")
    cards = places().cards
    return [(found, card_of_repo(cards, found.repo)) for found in search(open_client(), words, limit)]


def found_json(found: Found, card: Card | None) -> dict[str, Any]:
    return asdict(found) | {"card": card.name if card else None}
