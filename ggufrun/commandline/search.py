"""`ggufrun search`: repositories on the hub that hold GGUF files."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

from ggufrun.commandline.grid import Cell, print_grid
from ggufrun.commandline.hub_flags import HubFlags
from ggufrun.errors import OptionError
from ggufrun.userconfig import data_folder
from ggufrun.weights.cards import Card, load_cards
from ggufrun.weights.folders import model_folders


def search(words: str, limit: int, hub: HubFlags, *, as_json: bool) -> None:
    """Raises OptionError, HubRefused, HubError."""
    if not words.strip():
        raise OptionError("There is no word to search for.", "Give a part of a name, as in ggufrun search ministral.")
    hub.settle()
    from ggufrun.hub.client import open_client
    from ggufrun.hub.searching import Found
    from ggufrun.hub.searching import search as ask

    def row(found: Found) -> list[Cell]:
        closed = ("gated", "yellow") if found.gated else "private" if found.private else ""
        card = _card_of(found.repo, cards)
        name = (f"card: {card.name}", "green") if card else ""
        return [found.repo, f"{found.downloads:,}", f"{found.likes:,}", found.modified, found.licence, closed, name]

    cards = load_cards(model_folders(data_folder(os.environ)))
    repos = ask(open_client(), words, limit)
    if as_json:
        print(json.dumps([asdict(each) | {"card": _name_of(each.repo, cards)} for each in repos], indent=2))
    elif repos:
        print_grid(("REPOSITORY", "DOWNLOADS", "LIKES", "CHANGED", "LICENCE", "", ""), [*map(row, repos)], right=(1, 2))
    else:
        print(f"The hub has no GGUF repository with {words!r} in its name.", file=sys.stderr)


def _card_of(repo: str, cards: Sequence[Card]) -> Card | None:
    return next((card for card in cards if card.repo.lower() == repo.lower()), None)


def _name_of(repo: str, cards: Sequence[Card]) -> str | None:
    card = _card_of(repo, cards)
    return card.name if card else None
