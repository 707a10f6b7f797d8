"""What to give up, in which order, where a load has failed for memory: context, then KV precision, then layers on GPUs.

Pinned knobs stay. Nothing is loaded here: see `ggufrun.opening.starting`.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from ggufrun.settings import ModelSettings

LEAST_CONTEXT: Final = 4096  # tokens: nothing is gained by a model that holds no conversation
_FEWER: Final = (3, 2, 1, 0)  # quarters of the layers that were on GPUs at first
_LAYER_KNOBS: Final = ("gpu_layers", "devices", "tensor_split", "override_tensors")


@dataclass(frozen=True, slots=True)
class Knobs:
    """How far down a model can go. `context` is what it is loaded with first, `gpu_layers` how many of its layers."""

    context: int
    gpu_layers: int = 0  # 0: there is no GPU, or nothing is on it
    quantizable: bool = True  # whether its KV cache can be q8_0
    pinned: Collection[str] = ()  # names of `ModelSettings`


class Ladder:
    """The way down for one model. `tried` and `given_up` are for the user."""

    def __init__(self, settings: ModelSettings, knobs: Knobs) -> None:
        self._first = self._now = settings
        self._knobs, self._pinned = knobs, frozenset(knobs.pinned)
        self._context, self._layers = knobs.context, knobs.gpu_layers
        quarters = dict.fromkeys(knobs.gpu_layers * quarters // 4 for quarters in _FEWER)
        self._fewer = [layers for layers in quarters if layers < knobs.gpu_layers]
        self._tried = [self._tried_now()]

    @property
    def settings(self) -> ModelSettings:
        return self._now

    @property
    def stepped(self) -> bool:
        return self._now != self._first

    @property
    def tried(self) -> str:
        return "; ".join(self._tried)

    @property
    def given_up(self) -> str:
        """As in "context 8192 instead of 16384, KV cache q8_0 instead of f16"; "" where nothing was."""
        changes = (
            ("context", self._context, self._knobs.context),
            ("KV cache", self._now.kv_type, self._first.kv_type),
            ("GPU layers", self._layers, self._knobs.gpu_layers),
        )
        return ", ".join(f"{name} {now} instead of {first}" for name, now, first in changes if now != first)

    def step(self, *, weights: bool) -> bool:
        """Go down by one rung; False where there is none. `weights`: these did not fit, whatever the context."""
        if not ((not weights and (self._shorten() or self._quantize())) or self._unload()):
            return False
        self._tried.append(self._tried_now())
        return True

    def drop_q8_0(self) -> bool:
        """The model cannot have the cache that was just tried: back to the one before. False where none was tried."""
        if not self._knobs.quantizable or self._now.kv_type == self._first.kv_type:
            return False
        self._knobs = replace(self._knobs, quantizable=False)
        self._now = replace(self._now, kv_type=self._first.kv_type)
        self._tried.pop()
        return True

    def _shorten(self) -> bool:
        if "context" in self._pinned or self._context <= LEAST_CONTEXT:
            return False
        self._context = max(LEAST_CONTEXT, self._context // 2 // 256 * 256)
        self._now = replace(self._now, context=self._context)
        return True

    def _quantize(self) -> bool:
        off = self._now.flash_attention == "off"
        if "kv_type" in self._pinned or not self._knobs.quantizable or off or self._now.kv_type != "f16":
            return False
        self._now = replace(self._now, kv_type="q8_0")
        return True

    def _unload(self) -> bool:
        if self._pinned.intersection(_LAYER_KNOBS) or not self._fewer:
            return False
        self._layers = self._fewer.pop(0)
        # A plan's own split and placement are made for its number of layers.
        self._now = replace(self._now, gpu_layers=self._layers, tensor_split=())
        return True

    def _tried_now(self) -> str:
        layers = [f"{self._layers} layers on the GPU"] if self._knobs.gpu_layers else []
        return ", ".join([f"context {self._context}", f"{self._now.kv_type} KV cache", *layers])
