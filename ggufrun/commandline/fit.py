"""`ggufrun fit`: how a model would be loaded on this machine or another, by its header alone."""

import json
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ggufrun.commandline.hub_flags import HubFlags
from ggufrun.commandline.machines import machine_of, wishes_of
from ggufrun.commandline.plan_flags import MachineFlags, PlanFlags
from ggufrun.commandline.plan_words import in_short, plan_json, print_plan, print_smaller, smaller_json
from ggufrun.commandline.table import printable
from ggufrun.errors import HubUnreachable, InputError, ModelFileError, ModelNotFound
from ggufrun.fit.machine import Machine
from ggufrun.fit.measured import Measure
from ggufrun.fit.plan import Plan
from ggufrun.fit.planner import make_plan
from ggufrun.fit.probe import Probe
from ggufrun.fit.smaller import Smaller, wholly_in
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.store.resolve import ResolvedModel, resolve
from ggufrun.userconfig import data_folder
from ggufrun.weights.cards import Card, load_cards
from ggufrun.weights.folders import is_projector, model_folders
from ggufrun.weights.header import Header, read_header

if TYPE_CHECKING:
    from ggufrun.choosing.choosing import Choosing


@dataclass(frozen=True, slots=True)
class _Found:
    """What is planned. `note` is a sentence on why it is this quant; `others` the repository's other ones, in words."""

    subject: Subject
    note: str = ""
    others: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command was asked for."""

    spec: str
    hub: HubFlags
    wishes: Wishes
    mmproj: bool
    cards: tuple[Card, ...]


def fit(spec: str, hub: HubFlags, machine: MachineFlags, pinned: PlanFlags, *, mmproj: bool, as_json: bool) -> None:
    """Raises InputError or HubError."""
    hub.settle()
    cards = load_cards(model_folders(data_folder(os.environ)))
    asked = _Asked(spec, hub, wishes_of(pinned), mmproj, cards)
    with closing(Probe()) as probe:  # it starts while the header is read
        local = _local(asked)
        planned_for, measure = machine_of(machine, probe)
        found = _Found(_subject(local, mmproj)) if local else _chosen(asked, planned_for, measure)
        plan = make_plan(found.subject, planned_for, asked.wishes, measure, gains=True)
    smaller = _smaller(plan, found.subject, planned_for, cards)
    if as_json:
        print(json.dumps(_as_json(found, plan, smaller), indent=2))
    else:
        _print(found, plan, planned_for, smaller)


def _as_json(found: _Found, plan: Plan, smaller: Smaller | None) -> dict[str, Any]:
    return {
        "model": found.subject.name,
        "note": found.note or None,
        **plan_json(plan),
        "other_quants": dict(found.others),
        "smaller": smaller_json(smaller),
    }


def _print(found: _Found, plan: Plan, machine: Machine, smaller: Smaller | None) -> None:
    parameters = sum(header.parameters for header in found.subject.headers)
    print(printable(f"{found.subject.name}: {parameters / 1e9:,.3g} billion parameters. {found.note}".strip()))
    print_plan(plan, machine)
    if found.others:
        print("\nOther quants, estimated from their sizes:")
        for name, words in found.others.items():
            print(printable(f"  {name}: {words}"))
    if smaller is not None:
        print_smaller(smaller, machine)


def _local(asked: _Asked) -> ResolvedModel | None:
    """A file that was named, or a model that comes as a package; None: the hub is asked."""
    path = Path(os.path.expanduser(asked.spec))
    packaged = any(card.package and card.answers_to(asked.spec) for card in asked.cards)
    if asked.spec.lower().endswith(".gguf") or os.path.isfile(path) or packaged:
        return resolve(asked.spec, data_folder(os.environ))
    return None


def _subject(found: ResolvedModel, mmproj: bool) -> Subject:
    headers = (found.header, *(read_header(shard) for shard in found.shards[1:]))
    return Subject(found.path, headers, found.name, found.card, _projector_beside(found) if mmproj else None)


def _projector_beside(found: ResolvedModel) -> Header | None:
    """The mmproj that came with a stored model; of a file that was named, the only one beside an only model."""
    files = sorted(found.path.parent.glob("*.gguf"))
    projectors = [file for file in files if is_projector(file.name)]
    if found.stored is not None:
        projectors = [each.path for each in found.stored.projectors]
    elif len(projectors) > 1 or len(files) - len(projectors) != len(found.shards):
        return None

    def rank(file: Path) -> int:
        told = found.card.projector_rank(file.name) if found.card else None
        return len(projectors) if told is None else told

    try:
        return read_header(min(projectors, key=rank)) if projectors else None
    except ModelFileError:  # no part of the model itself
        return None


def _chosen(asked: _Asked, machine: Machine, measure: Measure | None) -> _Found:
    """From the hub: the quant that is named, or the best one."""
    from ggufrun.choosing.choosing import Choosing, projector_of
    from ggufrun.hub.client import open_client
    from ggufrun.hub.spec import parse_spec

    try:
        wanted = parse_spec(asked.spec, asked.cards)
    except ModelNotFound:  # perhaps a name that only this machine knows
        return _Found(_subject(resolve(asked.spec, data_folder(os.environ)), asked.mmproj))
    client = open_client()
    try:
        listing = client.list(wanted, asked.hub.revision)
    except HubUnreachable as error:
        return _here(asked, error)
    projector = projector_of(listing, wanted.card) if asked.mmproj else None
    choosing = Choosing(client, listing, machine, asked.wishes, card=wanted.card, projector=projector, measure=measure)
    if wanted.quant is not None:
        return _Found(choosing.subject(listing.quant(wanted.quant)))
    return _best(choosing)


def _best(choosing: "Choosing") -> _Found:
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


def _here(asked: _Asked, error: HubUnreachable) -> _Found:
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
