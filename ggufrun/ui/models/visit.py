"""What the tab remembers of one browser tab between its events. It is changed in place, and never sent anywhere."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from ggufrun.ui.models.turn import Turn

Json = dict[str, Any]


@dataclass(slots=True)
class Visit:
    wake: asyncio.Event = field(default_factory=asyncio.Event)  # something has changed: look now
    watches: int = 0  # the latest one counts
    form: Json = field(default_factory=lambda: {"mmproj": "on"})  # the fields of the form of knobs
    searches: bool = False  # what the hub has found is shown; False: the cards
    asked: str = ""  # the model whose quants are shown, as it was asked for
    shown: Json | None = None  # its quants, as the API has them
    planned: str = ""  # whose plan is shown
    seeking: Turn = field(default_factory=Turn)
    showing: Turn = field(default_factory=Turn)
    planning: Turn = field(default_factory=Turn)
