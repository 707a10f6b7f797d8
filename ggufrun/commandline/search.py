"""`ggufrun search`: repositories on the hub that hold GGUF files."""

import json
import sys

from ggufrun.commandline.grid import Cell, print_grid
from ggufrun.commandline.hub_flags import MirrorFlags
from ggufrun.hub.searching import Found
from ggufrun.library.searching import found_json, searched
from ggufrun.weights.cards import Card

_HEAD = ("REPOSITORY", "DOWNLOADS", "LIKES", "CHANGED", "LICENCE", "", "")


def search(words: str, limit: int, hub: MirrorFlags, *, as_json: bool) -> None:
    """Raises OptionError, HubRefused, HubError."""
    hub.settle()
    repos = searched(words, limit)
    if as_json:
        print(json.dumps([found_json(*each) for each in repos], indent=2))
    elif repos:
        print_grid(_HEAD, [_row(*each) for each in repos], right=(1, 2))
    else:
        print(f"The hub has no GGUF repository with {words!r} in its name.", file=sys.stderr)


def _row(found: Found, card: Card | None) -> list[Cell]:
    closed: Cell = ("gated", "yellow") if found.gated else "private" if found.private else ""
    name: Cell = (f"card: {card.name}", "green") if card else ""
    return [found.repo, f"{found.downloads:,}", f"{found.likes:,}", found.modified, found.licence, closed, name]
