"""Quants with their plans, and which of them is best. Where they come from is `choosing`'s."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from ggufrun.errors import InputError
from ggufrun.figures import gib
from ggufrun.fit.machine import Machine
from ggufrun.fit.plan import Plan
from ggufrun.hub.files import HubQuant
from ggufrun.weights.quants import label_of

ENOUGH_CONTEXT: Final = 8192  # tokens that a model wholly on the GPU must still have
OFFLOADED_TOK_S: Final = 3.0  # below it, a smaller quant is the better one
CPU_TOK_S: Final = 5.0
_UNQUANTIZED: Final = frozenset({"F32", "BF16", "F16"})
_NEAR_LOSSLESS: Final = frozenset({"Q8_0", "UD-Q8_K_XL", "Q8_K_XL"})


@dataclass(frozen=True, slots=True)
class Offer:
    """A quant and how it would be loaded. `exact`: by its own header; else scaled from another quant's."""

    quant: HubQuant
    plan: Plan
    exact: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """`reason` is a sentence without its beginning: "the largest that ..."."""

    offer: Offer
    reason: str


def middle(quants: Sequence[HubQuant]) -> HubQuant:
    """The one in the middle by size, of those that anybody would run."""
    likely = [quant for quant in quants if not _is_unquantized(quant)] or quants
    return likely[len(likely) // 2]


def best(offers: Sequence[Offer], machine: Machine, trained: int | None, repo: str) -> Choice:
    """The largest that is wholly on the GPU; else, and without a GPU, the largest that is not too slow.

    `trained`: tokens of context that the model was made for. Raises InputError where none fits.
    """
    lossless = any(_label(offer.quant) in _NEAR_LOSSLESS for offer in offers)
    by_size = sorted(offers, key=lambda offer: offer.quant.size)
    usable = [o for o in by_size if o.plan.fits and not (lossless and _is_unquantized(o.quant))]
    if not usable:
        raise _none_fits(by_size[0], machine, repo)
    return _on_gpu(usable, trained) if machine.gpus else _on_cpu(usable)


def _on_gpu(usable: Sequence[Offer], trained: int | None) -> Choice:
    enough = min(ENOUGH_CONTEXT, trained or ENOUGH_CONTEXT)
    whole = [offer for offer in usable if offer.plan.verdict == "fits" and offer.plan.context >= enough]
    if whole:
        context = whole[-1].plan.context
        return Choice(whole[-1], f"the largest that is wholly on the GPU, with a context of {context:,} tokens")
    if fast := [offer for offer in usable if _speed(offer) >= OFFLOADED_TOK_S]:
        reason = f"none is wholly on the GPU with {enough:,} tokens; this is the largest that makes"
        return Choice(fast[-1], f"{reason} {OFFLOADED_TOK_S:g} tokens/s or more with a part of it in RAM")
    reason = f"none makes {OFFLOADED_TOK_S:g} tokens/s on this machine; this is the largest that fits at all"
    return Choice(usable[-1], reason)


def _on_cpu(usable: Sequence[Offer]) -> Choice:
    if fast := [offer for offer in usable if _speed(offer) >= CPU_TOK_S]:
        return Choice(fast[-1], f"the largest that fits in RAM and makes {CPU_TOK_S:g} tokens/s or more")
    fastest = max(usable, key=_speed)
    return Choice(fastest, f"none makes {CPU_TOK_S:g} tokens/s on this machine; this is the fastest that fits in RAM")


def _speed(offer: Offer) -> float:
    return offer.plan.predicted_tok_s or 0.0


def _label(quant: HubQuant) -> str:
    return label_of(PurePosixPath(quant.first.name)) or quant.name.upper()


def _is_unquantized(quant: HubQuant) -> bool:
    return _label(quant) in _UNQUANTIZED


def _none_fits(smallest: Offer, machine: Machine, repo: str) -> InputError:
    margins = {"RAM": machine.ram_margin, **{gpu.name: gpu.margin for gpu in machine.gpus}}
    missing = sum(max(0, use.needed + margins.get(use.name, 0) - use.free) for use in smallest.plan.devices)
    where = "this machine" if machine.here else "that machine"
    return InputError(
        f"No quant of {repo} fits on {where}: for the smallest, {smallest.quant.name}, "
        f"{gib(missing)} of memory are missing.",
        "Give a smaller --context, close other programs, or choose a smaller model (`ggufrun search WORDS`).",
    )
