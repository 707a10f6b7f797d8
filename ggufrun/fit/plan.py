"""A plan: how a model is loaded on a machine, what that takes on each device, and why. Values only."""

from dataclasses import dataclass
from typing import Literal

from ggufrun.fit.machine import Known
from ggufrun.settings import KvType, ModelOverrides

Verdict = Literal["fits", "offload", "too large"]  # all on the GPU (or in RAM, without one); part of it; neither


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """What one device must hold, in bytes. The host's is called "RAM"."""

    name: str
    weights: int
    kv: int
    compute: int
    mmproj: int
    free: int
    total: int
    weights_known: Known
    kv_known: Known
    compute_known: Known
    margin: int = 0  # of the free bytes, those that the plan leaves free
    description: str = ""
    layers: int = 0  # on this device, the output counted
    shared: int = 0  # what GPUs take of it, where they have no memory of their own
    mmproj_known: Known = "estimated"  # llama.cpp is not asked what an image takes while it is read
    copied: int = 0  # of the weights, those that are copied to RAM for each step: see `fit.refused`

    @property
    def needed(self) -> int:
        return self.weights + self.kv + self.compute + self.mmproj

    @property
    def fits(self) -> bool:
        return not self.needed or self.needed + self.shared + self.margin <= self.free


@dataclass(frozen=True, slots=True)
class Gain:
    """What one knob would buy: `knob` as it is typed ("--kv-type q8_0"), `effect` in plain words."""

    knob: str
    effect: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided. `overrides` are the settings to load with, pinned ones included."""

    context: int  # tokens
    kv_type: KvType
    gpu_layers: int  # of `layers`, the output layer counted
    layers: int
    ubatch: int  # rows computed at once
    overrides: ModelOverrides
    devices: tuple[DeviceUse, ...]
    verdict: Verdict
    predicted_tok_s: float | None  # the bound from memory bandwidth; None: it does not fit
    why: tuple[str, ...]  # sentences
    gains: tuple[Gain, ...]
    parallel: int = 8  # the engine's: answers generated at once
    batch: int = 512  # the engine's, to load with: smaller than asked for where only that keeps all on the GPU
    predicted_known: Known = "estimated"

    @property
    def fits(self) -> bool:
        return self.verdict != "too large"

    @property
    def missing(self) -> int:
        """Bytes that the devices lack; 0 where it fits."""
        return sum(max(0, use.needed + use.shared + use.margin - use.free) for use in self.devices if use.needed)
