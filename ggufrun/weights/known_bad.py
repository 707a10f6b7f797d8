"""What model cards know to be wrong with files that are out there, in sentences: on the hub and here."""

import datetime
from collections.abc import Mapping

from ggufrun.weights.cards import Card, Part


def known_faults(
    card: Card | None, part: Part, metadata: Mapping[str, object], published: datetime.date | None, file: str = ""
) -> tuple[str, ...]:
    """By a file's header, and the day it was published or came here at the latest. `file` is what to call it."""
    beginning = f"{file} is known to be wrong" if file else "Known to be wrong"
    faults = card.faults(part, metadata, published) if card else ()
    return tuple(dict.fromkeys(f"{beginning}: {bad.reason.rstrip('.')}." for bad in faults))
