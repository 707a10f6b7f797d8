"""The cards as JSON: the models that are known, and which of them are on this machine."""

from typing import Any

from ggufrun.library.local import places
from ggufrun.weights.cards import Card


def cards_json() -> list[dict[str, Any]]:
    """Raises OptionError for a faulty card."""
    there = places()
    here: dict[str, list[str]] = {}
    for model in there.models():
        if model.card is not None and model.partial is None:
            here.setdefault(model.card.name, []).append(model.name)
    return [_card(card, here.get(card.name, [])) for card in there.cards]


def _card(card: Card, here: list[str]) -> dict[str, Any]:
    return {
        "name": card.name,
        "aliases": list(card.aliases),
        "description": card.description,
        "repo": card.repo,
        "revision": card.revision,
        "url": card.url,
        "licence": card.licence,
        "parameters": card.parameters,
        "context": card.context,
        "default_context": card.default_context,
        "efforts": list(card.efforts),
        "mmproj": bool(card.mmproj),
        "install": card.install,
        "here": here,
    }
