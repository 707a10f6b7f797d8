"""From a repository's listing to plans: how each quant would be loaded on a machine, and which is best.

One header is read, the middle quant's; the others are estimated from their size until one of them is chosen.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Final

from ggufrun.choosing.offers import Choice, Offer, best, middle
from ggufrun.errors import ModelFileError, OptionError
from ggufrun.fit.machine import Machine
from ggufrun.fit.measured import Measure
from ggufrun.fit.planner import make_plan
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.hub.client import Client
from ggufrun.hub.files import HubFile, HubQuant, Listing
from ggufrun.hub.remote_header import remote_header, remote_headers
from ggufrun.hub_errors import HubRefused
from ggufrun.weights.cards import Card
from ggufrun.weights.header import Header
from ggufrun.weights.projectors import fault_of, unseen_by
from ggufrun.weights.quants import label_of

_OTHERS: Final = 2  # headers that are read where the first is faulty
_PROJECTOR_TYPES: Final = ("F16", "BF16", "Q8_0", "F32")  # best first, without a card that says


class Choosing:
    """The quants of one listing, planned for one machine. Asks the hub for headers when they are needed."""

    def __init__(
        self,
        client: Client,
        listing: Listing,
        machine: Machine,
        wishes: Wishes,
        *,
        card: Card | None = None,
        projector: HubFile | Header | None = None,
        measure: Measure | None = None,
    ) -> None:
        """`measure` None: by formulas only. Raises HubRefused where the repository holds no quant."""
        if not listing.quants:
            raise HubRefused(
                f"{listing.repo} holds no GGUF model. {' '.join(listing.notes)}".strip(),
                "`ggufrun search WORDS` finds repositories that do.",
            )
        self._client, self._listing, self._machine, self._wishes = client, listing, machine, wishes
        self._card, self._projector, self._measure = card, projector, measure
        self._subjects: dict[str, Subject] = {}
        self.notes: tuple[str, ...] = ()  # sentences: what could not be counted

    def subject(self, quant: HubQuant) -> Subject:
        """Raises HubRefused, HubError or ModelFileError."""
        if quant.name not in self._subjects:
            headers = remote_header(self._client, self._listing, quant)
            name = f"{self._card.name if self._card else self._listing.repo}:{quant.name}"
            subject = Subject(headers[0].path, headers, name, self._card, self._projector_header(headers[0]))
            self._subjects[quant.name] = subject
        return self._subjects[quant.name]

    def _projector_header(self, model: Header) -> Header | None:
        """Raises ModelFileError or OptionError for a file of this machine that does not fit."""
        if self._projector is None or self._subjects:
            return next((subject.projector for subject in self._subjects.values()), None)
        if why := unseen_by(model):
            if isinstance(self._projector, Header):
                raise OptionError(f"{self._listing.repo} cannot see images: {why}.", "Leave --mmproj out.")
            self.notes = (f"Images cannot be seen: {why}.",)
            return None
        if isinstance(self._projector, Header):
            if fault := fault_of(self._projector, model):
                raise ModelFileError(self._projector.path, fault, "Give the mmproj file of this model, or none.")
            return self._projector
        try:
            header = remote_headers(self._client, self._listing, [self._projector])[0]
        except ModelFileError as error:
            self.notes = (f"The memory for images is not counted: {error.path}: {error.reason}.",)
            return None
        if fault := fault_of(header, model):
            self.notes = (f"Images cannot be seen with {self._projector.path}: {fault}.",)
            return None
        return header

    @property
    def headers(self) -> tuple[Header, ...]:
        """Of the quant that was read first; () before any."""
        return next((subject.headers for subject in self._subjects.values()), ())

    def exact(self, quant: HubQuant) -> Offer:
        """By the quant's own header."""
        return Offer(quant, make_plan(self.subject(quant), self._machine, self._wishes, self._measure), True)

    def offers(self) -> tuple[Offer, ...]:
        """All quants, from the smallest to the largest. Raises HubRefused, HubError or ModelFileError."""
        known, subject = self._known()

        def estimated(quant: HubQuant) -> Offer:
            scaled = replace(subject, scale=quant.size / known.size)
            return Offer(quant, make_plan(scaled, self._machine, self._wishes, None), False)

        return tuple(self.exact(quant) if quant is known else estimated(quant) for quant in self._listing.quants)

    def _known(self) -> tuple[HubQuant, Subject]:
        """The quant that stands for the others; where its file is no GGUF, another one."""
        first = middle(self._listing.quants)
        for quant in (first, *[other for other in self._listing.quants if other is not first][:_OTHERS]):
            try:
                return quant, self.subject(quant)
            except ModelFileError as error:
                faulty = error
        raise faulty

    def choose(self, offers: Sequence[Offer] | None = None) -> tuple[Choice, tuple[Offer, ...]]:
        """The best that fits, planned by its own header, and all offers with what was learnt on the way.

        Raises InputError where none fits.
        """
        known = list(self.offers() if offers is None else offers)
        trained = self.headers[0].context_train if self.headers else None
        while True:
            choice = best(known, self._machine, trained, self._listing.repo)
            at = known.index(choice.offer)
            if choice.offer.exact:
                return choice, tuple(known)
            known[at] = self.exact(choice.offer.quant)  # each quant once, so this ends


def projector_of(listing: Listing, card: Card | None) -> HubFile | None:
    """The mmproj to use: the card's favourite; without a card that says, 16 bits before others."""

    def rank(file: HubFile) -> tuple[int, int]:
        told = card.projector_rank(file.name) if card else None
        label = label_of(PurePosixPath(file.name))
        usual = _PROJECTOR_TYPES.index(label) if label in _PROJECTOR_TYPES else len(_PROJECTOR_TYPES)
        return (told, 0) if told is not None else (1 << 30, usual)

    return min(listing.projectors, key=rank, default=None)
