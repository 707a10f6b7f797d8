"""Tokens a second that memory allows: each token reads its share of the weights, and the cache, once.

A bound: computing takes time beside it. Devices work one after the other, and what a GPU refuses is copied before that.
"""

from collections.abc import Sequence
from typing import Final

from ggufrun.fit.layout import Layout
from ggufrun.fit.machine import Machine
from ggufrun.fit.placement import Use
from ggufrun.fit.refused import COPIED

_SWITCH_S: Final = 20e-6  # handing a token's values from one device to the next, about
DISK_BANDWIDTH: Final = 2e9  # bytes a second, a good SSD's


def tokens_per_second(uses: Sequence[Use], layout: Layout, machine: Machine, layers: int) -> float:
    """`uses` as `Placement.uses` gives them."""
    bandwidths = [gpu.bandwidth for gpu in machine.gpus] + [machine.ram_bandwidth]
    reading = sum(use.read / bandwidth for use, bandwidth in zip(uses, bandwidths, strict=True))
    copying = sum(use.copied for use in uses) / COPIED
    seconds = reading + copying + _SWITCH_S * _switches(layout, layers)
    return 1 / seconds if seconds > 0 else 0.0


def _switches(layout: Layout, layers: int) -> int:
    used = sum(count > 0 for count in layout.counts)
    borders = used - 1 + (layout.start(layers) > 0) if used else 0
    return borders + 2 * layout.divided
