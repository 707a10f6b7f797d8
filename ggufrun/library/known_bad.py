"""What a card knows to be wrong with a repository's files, before one of them is fetched."""

from datetime import date

from ggufrun.hub.files import Listing
from ggufrun.weights.cards import Card
from ggufrun.weights.header import Header
from ggufrun.weights.known_bad import known_faults


def faults_of(card: Card | None, listing: Listing, header: Header | None, *, projector: bool) -> tuple[str, ...]:
    """`header` None: by the day that the files were published only. `projector`: whether one is wanted."""
    published = date.fromisoformat(listing.modified) if listing.modified else None
    found = [*known_faults(card, "model", header.metadata if header else {}, published)]
    found += known_faults(card, "mmproj", {}, published) if projector else ()
    return tuple(dict.fromkeys(found))
