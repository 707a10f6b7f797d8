"""Which other models of the cards would be wholly in the memory of a machine: estimates, by their parameters alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ggufrun.fit.machine import Machine
from ggufrun.fit.subject import DEFAULT_CONTEXT
from ggufrun.weights.cards import Card

# Bits a weight of whole files, embeddings and all: Mistral Small 3.2's have these.
QUANTS: Final = (("Q8_0", 8.52), ("Q6_K", 6.57), ("Q5_K_M", 5.70), ("Q4_K_M", 4.87))
_KV: Final = (65_536, 0.75)  # bytes a token in f16: so many, and for each square root of a parameter. Within 10 % of
_COMPUTE: Final = 600 << 20  # those of Ministral 3 3B to 14B and Mistral Small
_CONTEXTS: Final = (16_384, 8192)  # tokens, where the card's own is too long
_PROJECTOR: Final = 900_000_000  # bytes of an mmproj in 16 bits


@dataclass(frozen=True, slots=True)
class Smaller:
    """Cards of the same size, and the best quant that fits. All of it is estimated."""

    cards: tuple[Card, ...]
    quant: str
    weights: int  # bytes
    context: int
    tok_s: float


def wholly_in(machine: Machine, cards: Sequence[Card], below: int) -> Smaller | None:
    """The largest models of fewer than `below` parameters that fit on the GPUs, or in RAM where there are none."""
    room, bandwidth = _room(machine)
    fitting = [
        found for card in cards if card.parameters < below and (found := _best(card, room, bandwidth)) is not None
    ]
    if not fitting:
        return None
    best = max(fitting, key=lambda found: found.cards[0].parameters)
    equals = [found.cards[0] for found in fitting if found.cards[0].parameters > 0.95 * best.cards[0].parameters]
    return Smaller(tuple(equals), best.quant, best.weights, best.context, best.tok_s)


def _best(card: Card, room: int, bandwidth: float) -> Smaller | None:
    longest = min(card.default_context or DEFAULT_CONTEXT, card.context)
    projector = _PROJECTOR if card.mmproj else 0
    for context in sorted({longest, *(fewer for fewer in _CONTEXTS if fewer < longest)}, reverse=True):
        kv = context * (_KV[0] + _KV[1] * math.sqrt(card.parameters))
        for quant, bits in QUANTS:
            weights = int(card.parameters * bits / 8)
            if weights + kv + _COMPUTE + projector <= room:
                return Smaller((card,), quant, weights, context, bandwidth / (weights + kv / 4))
    return None


def _room(machine: Machine) -> tuple[int, float]:
    """Bytes, and bytes a second; of several GPUs the slowest one's."""
    if machine.gpus:
        room = sum(max(0, gpu.free - gpu.margin) for gpu in machine.gpus)
        return room, min(gpu.bandwidth for gpu in machine.gpus)
    return machine.ram_free - machine.ram_margin, machine.ram_bandwidth
