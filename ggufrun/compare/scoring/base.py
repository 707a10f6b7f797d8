"""What is kept of the reference at a position: its likeliest tokens one by one, and all others as one lump.

Kept is the smallest set S of tokens whose mass is at least 1 - 1e-4, but 64 of them at least and `most` at most. With
p_T and q_T what is left to the others, the divergence over S and the lump, sum p ln(p/q) + p_T ln(p_T/q_T), is at
least 0 and at most the whole divergence (log-sum inequality), and exactly 0 for the same model.

Measured on the demo model, of whose 197 kB a position (small models are unsure, and nine in ten have all 4,096): with
16,384 tokens 94 kB, and the divergence comes out 0.03 % smaller than the whole one; with 4,096 it is 30 kB and 0.4 %.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ggufrun.compare.scoring.distribution import Distribution, Ids, Row

TAIL: Final = 1e-4  # what the lump may weigh
LEAST, FEW, MOST = 64, 4096, 16384  # tokens of a position; FEW: at most, of a long text
_FILE: Final = 1 << 30  # bytes, about: what a long text of an unsure model may take
_TOKEN: Final = 8  # bytes
_LIGHTEST: Final = 1e-12  # a lump: less is lost in the rounding of what it is left over from

LogP = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Kept:
    """One position of the reference."""

    ids: Ids  # ascending
    log_p: LogP  # of each of them, and last of the lump
    nll: float  # of the token that came
    top: int


def room(positions: int) -> int:
    """The most tokens of each of so many positions: the fewer those are, the more exact is what is kept of them."""
    return min(MOST, max(FEW, _FILE // (_TOKEN * max(1, positions))))


def keep(row: Distribution, token: int, most: int = MOST) -> Kept:
    """What is kept of a position of the reference. `token`: the one that came."""
    ids = heaviest(row, most)
    return Kept(ids, lumped(row, ids), -row.log_p(token), row.top)


def heaviest(row: Distribution, most: int = MOST) -> Ids:
    """The smallest set of tokens with a mass of 1 - TAIL, within LEAST and `most`; ascending."""
    weights = row.weights
    if len(weights) <= LEAST:
        return np.arange(len(weights), dtype=np.uint32)
    # All tokens that are this light weigh no more than TAIL together: most of a vocabulary need not be sorted.
    heavy = weights[weights > TAIL * row.total / len(weights)]
    if len(heavy) > most:
        heavy = np.partition(heavy, -most)[-most:]
    size = min(max(_needed(heavy, (1 - TAIL) * row.total), LEAST), most, len(weights))
    if size > len(heavy):
        return np.sort(np.argpartition(row.logits, len(weights) - size)[-size:]).astype(np.uint32)
    least = heavy.min() if size == len(heavy) else np.partition(heavy, -size)[-size]
    chosen = np.flatnonzero(weights >= least)
    if len(chosen) > size:  # of equals the first
        chosen = np.delete(chosen, np.flatnonzero(weights[chosen] == least)[size - len(chosen) :])
    ids: Ids = chosen.astype(np.uint32)
    return ids


def _needed(heavy: Row, mass: float) -> int:
    """How many of the heaviest weigh so much together; one more than there are where all of them do not."""
    if heavy.sum(dtype=np.float64) < mass:  # an unsure model's: nothing need be sorted
        return len(heavy) + 1
    return int(np.searchsorted(np.cumsum(np.sort(heavy)[::-1], dtype=np.float64), mass)) + 1


def lumped(row: Distribution, ids: Ids) -> LogP:
    """ln p of these tokens, and last of all others together."""
    at = ids.astype(np.intp)  # once, not for each of the two
    log_p = np.empty(len(ids) + 1, np.float32)
    log_p[:-1] = row.logits[at] - np.float64(row.log_total)  # a plain float would be rounded to float32 first
    rest = (row.total - float(row.weights[at].sum(dtype=np.float64))) / row.total
    log_p[-1] = np.log(max(rest, _LIGHTEST))
    return log_p
