"""`ggufrun show`: the quants of a repository, and which of them fit."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Final

from ggufrun.choosing.choosing import Choosing, projector_of
from ggufrun.choosing.offers import Choice, Offer
from ggufrun.commandline.grid import Cell, print_grid
from ggufrun.commandline.hub_flags import HubFlags
from ggufrun.commandline.known_bad import faults_of
from ggufrun.commandline.machines import is_described_whole, machine_of, wishes_of
from ggufrun.commandline.plan_flags import MachineFlags, PlanFlags
from ggufrun.commandline.table import printable
from ggufrun.errors import GatedRepo, InputError, ModelFileError
from ggufrun.fit.plan import Plan
from ggufrun.fit.probe import Probe
from ggufrun.hub.client import Client, open_client
from ggufrun.hub.files import HubQuant, Listing
from ggufrun.hub.spec import HubSpec, parse_spec
from ggufrun.store.hub_cache import RepoCache
from ggufrun.userconfig import data_folder
from ggufrun.weights.cards import Card, load_cards
from ggufrun.weights.folders import model_folders
from ggufrun.weights.header import Header

_VERDICTS: Final[Mapping[str, tuple[str, str]]] = {
    "fits": ("fits", "green"),
    "offload": ("with offload", "yellow"),
    "too large": ("does not fit", "red"),
}
_HEAD: Final = ("QUANT", "SIZE", "BITS", "FILES", "FITS", "CONTEXT", "TOK/S", "")


@dataclass(frozen=True, slots=True)
class Shown:
    """What is printed. `offers` is empty where no header could be read."""

    spec: HubSpec
    listing: Listing
    parameters: int | None
    offers: tuple[Offer, ...]
    choice: Choice | None
    notes: tuple[str, ...]  # sentences: what was left out, what is wrong, why nothing was chosen
    here: frozenset[str] = frozenset()  # the quants that are whole in the hub's cache


def show(spec: str, hub: HubFlags, machine: MachineFlags, pinned: PlanFlags, *, as_json: bool) -> None:
    """Raises InputError or HubError."""
    hub.settle()
    wishes = wishes_of(pinned)
    wanted = parse_spec(spec, load_cards(model_folders(data_folder(os.environ))))
    # It starts while the hub is asked.
    with nullcontext() if is_described_whole(machine) else Probe() as probe:
        client = open_client()
        listing = client.list(wanted, hub.revision)
        if wanted.quant is not None:
            listing = replace(listing, quants=(listing.quant(wanted.quant),))
        planned_for, measure = machine_of(machine, probe)
        projector = projector_of(listing, wanted.card)
        choosing = Choosing(
            client, listing, planned_for, wishes, card=wanted.card, projector=projector, measure=measure
        )
        shown = replace(_planned(wanted, listing, choosing), here=_here(client, listing))
    if as_json:
        print(json.dumps(_as_json(shown), indent=2))
    else:
        _print(shown)


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


def _here(client: Client, listing: Listing) -> frozenset[str]:
    there = RepoCache(client.cache, listing.repo)
    whole = {file.path: file.size for commit in there.commits() for file in there.files(commit)}
    return frozenset(
        quant.name for quant in listing.quants if all(whole.get(file.path) == file.size for file in quant.files)
    )


def _parameters(card: Card | None, listing: Listing, headers: Sequence[Header] | None) -> int | None:
    if headers:
        return sum(header.parameters for header in headers)
    return listing.parameters or (card.parameters if card else None)


def _print(shown: Shown) -> None:
    listing = shown.listing
    told = [
        listing.licence or "no licence told",
        "gated" if listing.gated else "",
        "private" if listing.private else "",
    ]
    told += [f"{_count(shown.parameters)} parameters" if shown.parameters else "", listing.modified]
    print(printable(f"{_name(shown)}: {', '.join(part for part in told if part)}"))
    rows = [_row(quant, shown) for quant in listing.quants]
    print_grid(_HEAD, rows, right=(1, 2, 3, 5, 6))
    for file in listing.projectors:
        print(printable(f"Sees images with {file.path} ({_gb(file.size)})."))
    if shown.choice is not None:
        print(printable(f"Best: {shown.choice.offer.quant.name}, {shown.choice.reason}."))
    for note in shown.notes:
        print(printable(note))


def _row(quant: HubQuant, shown: Shown) -> list[Cell]:
    row: list[Cell] = [quant.name, _gb(quant.size), _bits(quant, shown.parameters), str(len(quant.files))]
    offer = next((offer for offer in shown.offers if offer.quant == quant), None)
    is_best = shown.choice is not None and shown.choice.offer.quant == quant
    marks = ", ".join(["best"] * is_best + ["here"] * (quant.name in shown.here))
    told = _verdict(offer.plan) if offer else ("not known", "", "")
    return [*row, *told, (marks, "bold green" if is_best else "")]


def _verdict(plan: Plan) -> tuple[Cell, str, str]:
    word, style = _VERDICTS[plan.verdict]
    if plan.verdict == "offload":
        word += f" ({plan.gpu_layers} of {plan.layers} layers on the GPU)"
    speed = f"{plan.predicted_tok_s:.3g}" if plan.predicted_tok_s is not None else ""
    return (word, style), f"{plan.context:,}" if plan.fits else "", speed


def _bits(quant: HubQuant, parameters: int | None) -> str:
    return f"{quant.size * 8 / parameters:.2f}" if parameters else ""


def _name(shown: Shown) -> str:
    card, listing = shown.spec.card, shown.listing
    return f"{card.name} ({listing.repo})" if card else listing.repo


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size < 10e9 else f"{size / 1e9:.1f} GB"


def _count(parameters: int) -> str:
    return f"{parameters / 1e9:.3g} billion" if parameters >= 10**9 else f"{parameters / 1e6:.3g} million"


def _as_json(shown: Shown) -> dict[str, Any]:
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
