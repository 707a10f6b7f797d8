"""How a model would be loaded on a machine, by its header alone: what `ggufrun fit` prints, as a value and as JSON."""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ggufrun.choosing.choosing import Choosing, projector_of
from ggufrun.errors import InputError, ModelFileError, ModelNotFound, OptionError
from ggufrun.fit.machine import Gpu, Machine
from ggufrun.fit.measured import Measure
from ggufrun.fit.network import Network, network_json, network_of
from ggufrun.fit.plan import Plan
from ggufrun.fit.planner import make_plan
from ggufrun.fit.probe import Probe
from ggufrun.fit.smaller import Smaller, wholly_in
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.fit.workers import keeps_output, with_workers
from ggufrun.hub.client import open_client
from ggufrun.hub.spec import parse_spec
from ggufrun.hub_errors import HubUnreachable
from ggufrun.library.machines import machine_of
from ggufrun.library.plans import in_short, plan_json, smaller_json
from ggufrun.store.projectors import NONE, projector_for
from ggufrun.store.resolve import ResolvedModel, resolve
from ggufrun.userconfig import data_folder
from ggufrun.weights.cards import Card, load_cards
from ggufrun.weights.folders import model_folders
from ggufrun.weights.header import Header, read_header
from ggufrun.weights.notation import Notation
from ggufrun.weights.projectors import unseen_by


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be planned. `spec` may also be a .gguf file."""

    spec: str
    revision: str | None
    wishes: Wishes

    @property
    def mmproj(self) -> str | None:
        """What sees images, as `ModelOverrides` has it."""
        return self.wishes.pinned.get("mmproj")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A plan and what it is for. `note` says why it is this quant; `others` the repository's other ones, in words."""

    subject: Subject
    machine: Machine
    plan: Plan
    smaller: Smaller | None
    note: str
    others: Mapping[str, str]
    network: Network | None = None  # what goes through it, where other machines have a part


def fitted(
    asked: Asked, *, gpu: str | None = None, ram: str | None = None, workers: Sequence[Gpu] = (), there: bool = False
) -> Fitted:
    """`gpu` and `ram` describe another machine, as --gpu and --ram do; `workers` are further machines' devices.

    `there`: those were asked, not only described. Raises InputError or HubError.
    """
    cards = load_cards(model_folders(data_folder(os.environ)))
    with closing(Probe()) as probe:  # it starts while the header is read
        local = _local(asked, cards)
        planned_for, measure = machine_of(gpu, ram, probe)
        planned_for = with_workers(planned_for, workers, there=there)
        asked = replace(asked, wishes=replace(asked.wishes, pinned=keeps_output(asked.wishes.pinned, planned_for)))
        found = _Found(_subject(local, asked.mmproj)) if local else _chosen(asked, cards, planned_for, measure)
        plan = make_plan(found.subject, planned_for, asked.wishes, measure, gains=True)
    smaller = _smaller(plan, found.subject, planned_for, cards)
    network = network_of(plan, planned_for, found.subject)
    return Fitted(found.subject, planned_for, plan, smaller, found.note, found.others, network)


def fitted_json(found: Fitted) -> dict[str, Any]:
    return {
        "model": found.subject.name,
        "note": found.note or None,
        **plan_json(found.plan),
        "other_quants": dict(found.others),
        "smaller": smaller_json(found.smaller),
        "network": network_json(found.network),
    }


@dataclass(frozen=True, slots=True)
class _Found:
    """What is planned. `note` is a sentence on why it is this quant; `others` the repository's other ones, in words."""

    subject: Subject
    note: str = ""
    others: Mapping[str, str] = field(default_factory=dict)


def _local(asked: Asked, cards: Sequence[Card]) -> ResolvedModel | None:
    """A file that was named, or a model that comes as a package; None: the hub is asked."""
    path = Path(os.path.expanduser(asked.spec))
    packaged = any(card.package and card.answers_to(asked.spec) for card in cards)
    is_page = (read := Notation.read(asked.spec)) is not None and read.revision is not None
    if (asked.spec.lower().endswith(".gguf") and not is_page) or os.path.isfile(path) or packaged:
        return resolve(asked.spec, data_folder(os.environ))
    return None


def _subject(found: ResolvedModel, mmproj: str | None) -> Subject:
    projector = projector_for(found, mmproj).header
    if projector is not None and (why := unseen_by(found.header)):
        if mmproj is not None:
            raise OptionError(f"{found.name} cannot see images: {why}.", "Leave --mmproj out.")
        projector = None
    return Subject(found.path, found.headers(), found.name, found.card, projector)


def _chosen(asked: Asked, cards: Sequence[Card], machine: Machine, measure: Measure | None) -> _Found:
    """From the hub: the quant that is named, or the best one."""
    try:
        wanted = parse_spec(asked.spec, cards)
    except ModelNotFound:  # perhaps a name that only this machine knows
        return _Found(_subject(resolve(asked.spec, data_folder(os.environ)), asked.mmproj))
    client = open_client()
    try:
        listing = client.list(wanted, asked.revision)
    except HubUnreachable as error:
        return _here(asked, error)
    projector = projector_of(listing, wanted.card) if asked.mmproj is None else _file(asked.mmproj)
    choosing = Choosing(client, listing, machine, asked.wishes, card=wanted.card, projector=projector, measure=measure)
    if wanted.quant is not None:
        return _Found(choosing.subject(listing.quant(wanted.quant)))
    return _best(choosing)


def _file(mmproj: str) -> Header | None:
    return None if mmproj == NONE else read_header(Path(os.path.expanduser(mmproj)))


def _best(choosing: Choosing) -> _Found:
    offers = choosing.offers()
    try:
        choice, offers = choosing.choose(offers)
        quant, note = choice.offer.quant, f"Chosen as {choice.reason}."
    except ModelFileError:
        raise
    except InputError:
        quant, note = min((offer.quant for offer in offers), key=lambda each: each.size), "No quant fits."
    others = {offer.quant.name: in_short(offer.plan) for offer in offers if offer.quant != quant}
    return _Found(choosing.subject(quant), note, others)


def _here(asked: Asked, error: HubUnreachable) -> _Found:
    """The hub cannot be asked: what lies on this machine under the name will do, if there is one."""
    try:
        found = resolve(asked.spec, data_folder(os.environ))
    except InputError:
        raise error from None
    return _Found(_subject(found, asked.mmproj), "The hub cannot be asked; this is the file on this machine.")


def _smaller(plan: Plan, subject: Subject, machine: Machine, cards: tuple[Card, ...]) -> Smaller | None:
    """Another model, where this one is not wholly in the fastest memory."""
    if plan.verdict == "fits":
        return None
    parameters = sum(header.parameters for header in subject.headers)
    makers = tuple(card for card in cards if "stral" in card.name.lower())
    return wholly_in(machine, makers, parameters)
