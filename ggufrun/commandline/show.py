"""`ggufrun show`: the quants of a repository, and which of them fit, as a table. What is shown is the library's."""

import json
from collections.abc import Mapping
from typing import Final

from ggufrun.commandline.grid import Cell, print_grid
from ggufrun.commandline.hub_flags import HubFlags
from ggufrun.commandline.plan_flags import MachineFlags, PlanFlags
from ggufrun.commandline.table import printable
from ggufrun.commandline.wishes import wishes_of
from ggufrun.figures import billions, gb, speed
from ggufrun.fit.plan import Plan
from ggufrun.hub.files import HubQuant
from ggufrun.library.showing import Shown, shown_json, shown_of

_VERDICTS: Final[Mapping[str, tuple[str, str]]] = {
    "fits": ("fits", "green"),
    "offload": ("with offload", "yellow"),
    "too large": ("does not fit", "red"),
}
_HEAD: Final = ("QUANT", "SIZE", "BITS", "FILES", "FITS", "CONTEXT", "TOK/S", "")


def show(spec: str, hub: HubFlags, machine: MachineFlags, pinned: PlanFlags, *, as_json: bool) -> None:
    """Raises InputError or HubError."""
    hub.settle()
    shown = shown_of(spec, hub.revision, wishes_of(pinned, spec), gpu=machine.gpu, ram=machine.ram)
    if as_json:
        print(json.dumps(shown_json(shown), indent=2))
    else:
        _print(shown)


def _print(shown: Shown) -> None:
    listing = shown.listing
    told = [
        listing.licence or "no licence told",
        "gated" if listing.gated else "",
        "private" if listing.private else "",
    ]
    told += [f"{billions(shown.parameters)} parameters" if shown.parameters else "", listing.modified]
    print(printable(f"{_name(shown)}: {', '.join(part for part in told if part)}"))
    rows = [_row(quant, shown) for quant in listing.quants]
    print_grid(_HEAD, rows, right=(1, 2, 3, 5, 6))
    for file in listing.projectors:
        print(printable(f"Sees images with {file.path} ({gb(file.size)})."))
    if shown.choice is not None:
        print(printable(f"Best: {shown.choice.offer.quant.name}, {shown.choice.reason}."))
    for note in shown.notes:
        print(printable(note))


def _row(quant: HubQuant, shown: Shown) -> list[Cell]:
    row: list[Cell] = [quant.name, gb(quant.size), _bits(quant, shown.parameters), str(len(quant.files))]
    offer = next((offer for offer in shown.offers if offer.quant == quant), None)
    is_best = shown.choice is not None and shown.choice.offer.quant == quant
    marks = ", ".join(["best"] * is_best + ["here"] * (quant.name in shown.here))
    told = _verdict(offer.plan) if offer else ("not known", "", "")
    return [*row, *told, (marks, "bold green" if is_best else "")]


def _verdict(plan: Plan) -> tuple[Cell, str, str]:
    word, style = _VERDICTS[plan.verdict]
    if plan.verdict == "offload":
        word += f" ({plan.gpu_layers} of {plan.layers} layers on the GPU)"
    tok_s = speed(plan.predicted_tok_s) if plan.predicted_tok_s is not None else ""
    return (word, style), f"{plan.context:,}" if plan.fits else "", tok_s


def _bits(quant: HubQuant, parameters: int | None) -> str:
    return f"{quant.size * 8 / parameters:.2f}" if parameters else ""


def _name(shown: Shown) -> str:
    card, listing = shown.spec.card, shown.listing
    return f"{card.name} ({listing.repo})" if card else listing.repo
