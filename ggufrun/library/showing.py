"""A repository's quants, and which of them fit on a machine: what `ggufrun show` prints, as a value and as JSON."""

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from ggufrun.choosing.choosing import Choosing, projector_of
from ggufrun.choosing.offers import Choice, Offer
from ggufrun.errors import InputError, ModelFileError
from ggufrun.fit.probe import Probe
from ggufrun.fit.subject import Wishes
from ggufrun.hub.client import open_client
from ggufrun.hub.files import HubQuant, Listing
from ggufrun.hub.pull_plan import quants_here
from ggufrun.hub.spec import HubSpec, parse_spec
from ggufrun.hub_errors import GatedRepo
from ggufrun.library.known_bad import faults_of
from ggufrun.library.machines import is_described_whole, machine_of
from ggufrun.userconfig import data_folder
from ggufrun.weights.cards import Card, load_cards
from ggufrun.weights.folders import model_folders
from ggufrun.weights.header import Header


@dataclass(frozen=True, slots=True)
class Shown:
    """What there is to show. `offers` is empty where no header could be read."""

    spec: HubSpec
    listing: Listing
    parameters: int | None
    offers: tuple[Offer, ...]
    choice: Choice | None
    notes: tuple[str, ...]  # sentences: what was left out, what is wrong, why nothing was chosen
    here: frozenset[str] = frozenset()  # the quants that are whole in the hub's cache


def shown_of(
    spec: str, revision: str | None, wishes: Wishes, *, gpu: str | None = None, ram: str | None = None
) -> Shown:
    """`gpu` and `ram` describe another machine, as --gpu and --ram do. Raises InputError or HubError."""
    wanted = parse_spec(spec, load_cards(model_folders(data_folder(os.environ))))
    # It starts while the hub is asked.
    with nullcontext() if is_described_whole(gpu, ram) else Probe() as probe:
        client = open_client()
        listing = client.list(wanted, revision)
        if wanted.quant is not None:
            listing = replace(listing, quants=(listing.quant(wanted.quant),))
        planned_for, measure = machine_of(gpu, ram, probe)
        projector = projector_of(listing, wanted.card)
        choosing = Choosing(
            client, listing, planned_for, wishes, card=wanted.card, projector=projector, measure=measure
        )
        return replace(_planned(wanted, listing, choosing), here=quants_here(client.cache, listing))


def shown_json(shown: Shown) -> dict[str, Any]:
    listing, choice = shown.listing, shown.choice
    return {
        "repo": listing.repo,
        "card": shown.spec.card.name if shown.spec.card else None,
        "commit": listing.commit,
        "modified": listing.modified,
        "licence": listing.licence,
        "gated": listing.gated,
        "private": listing.private,
        "parameters": shown.parameters,
        "quants": [_quant_json(quant, shown) for quant in listing.quants],
        "mmproj": [{"file": file.path, "bytes": file.size} for file in listing.projectors],
        "best": choice.offer.quant.name if choice else None,
        "why": choice.reason if choice else None,
        "notes": list(shown.notes),
    }


def _quant_json(quant: HubQuant, shown: Shown) -> dict[str, Any]:
    offer = next((offer for offer in shown.offers if offer.quant == quant), None)
    plan = offer.plan if offer else None
    return {
        "name": quant.name,
        "bytes": quant.size,
        "bits_per_weight": round(quant.size * 8 / shown.parameters, 3) if shown.parameters else None,
        "files": [file.path for file in quant.files],
        "verdict": plan.verdict if plan else None,
        "context": plan.context if plan else None,
        "gpu_layers": plan.gpu_layers if plan else None,
        "layers": plan.layers if plan else None,
        "predicted_tok_s": plan.predicted_tok_s if plan else None,
        "here": quant.name in shown.here,
        "exact": offer.exact if offer else None,
    }


def _planned(spec: HubSpec, listing: Listing, choosing: Choosing) -> Shown:
    """With the plans, as far as the headers can be read and something fits."""
    sees = bool(listing.projectors)
    try:
        offers = choosing.offers()
    except (GatedRepo, ModelFileError) as error:
        faults = faults_of(spec.card, listing, None, projector=sees)
        notes = (*listing.notes, *faults, f"What fits is not known: {error}")
        return Shown(spec, listing, _parameters(spec.card, listing, None), (), None, notes)
    headers = choosing.headers
    faults = faults_of(spec.card, listing, headers[0], projector=sees)
    notes = (*listing.notes, *choosing.notes, *faults)
    parameters = _parameters(spec.card, listing, headers)
    if spec.quant is not None:
        return Shown(spec, listing, parameters, offers, None, notes)
    try:
        choice, offers = choosing.choose(offers)
    except (InputError, ModelFileError) as error:  # nothing fits, or the best one's file is no GGUF
        return Shown(spec, listing, parameters, offers, None, (*notes, str(error)))
    return Shown(spec, listing, parameters, offers, choice, notes)


def _parameters(card: Card | None, listing: Listing, headers: Sequence[Header] | None) -> int | None:
    if headers:
        return sum(header.parameters for header in headers)
    return listing.parameters or (card.parameters if card else None)
