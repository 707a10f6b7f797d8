"""What a card knows to be wrong with files on the hub, in sentences."""

from datetime import date

from ggufrun.hub.files import Listing
from ggufrun.weights.cards import Card
from ggufrun.weights.header import Header


def faults_of(card: Card | None, listing: Listing, header: Header | None, *, projector: bool) -> tuple[str, ...]:
    """`header` None: by the day that the files were published only. `projector`: whether one is wanted."""
    if card is None:
        return ()
    published = date.fromisoformat(listing.modified) if listing.modified else None
    found = [*card.faults("model", header.metadata if header else {}, published)]
    found += card.faults("mmproj", {}, published) if projector else ()
    return tuple(dict.fromkeys(f"Known to be bad: {fault.reason}." for fault in found))
