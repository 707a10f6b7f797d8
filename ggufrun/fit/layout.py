"""One way to load a model: how many layers each GPU has, and which weights of those stay in RAM all the same."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np

from ggufrun.errors import OptionError
from ggufrun.fit.cache import CacheSize
from ggufrun.fit.shape import Role

_OVERRIDE_HINT: Final = 'Write it as "regex=buffer type".'
_HOST: Final = re.compile(r"CPU\w*|AMX|\w+_Host")
_NUMBERED: Final = re.compile(r"(?:CUDA|ROCm|Vulkan|SYCL|MUSA|CANN|MTL|Metal)(\d{1,2})")
_NAMES: Final = {
    "experts": r"ffn_(?:up|down|gate|gate_up)_(?:ch|)exps",
    "ffn": r"ffn_(?:up|down|gate|gate_up)\.weight",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """`counts` has one entry a GPU, in their order; the last layers are on GPUs, and the output is the last of all.

    Of the first `lowered` layers on GPUs, the weights of `role` are in RAM; of all, what `kept` names, which is as
    --override-tensor takes it.
    """

    size: CacheSize
    flash: bool
    counts: tuple[int, ...] = ()
    lowered: int = 0
    role: Role = "rest"
    kept: tuple[str, ...] = ()

    @property
    def divided(self) -> int:
        """How many layers on GPUs have weights in RAM; the output has none there."""
        return max(0, self.gpu_layers - 1) if self.kept else self.lowered

    @property
    def gpu_layers(self) -> int:
        return sum(self.counts)

    def start(self, layers: int) -> int:
        """The first layer that is on a GPU."""
        return layers - self.gpu_layers

    def devices(self, layers: int) -> list[int]:
        """For each layer, the output too, its GPU's number; -1 is RAM."""
        return [-1] * self.start(layers) + [gpu for gpu, count in enumerate(self.counts) for _ in range(count)]

    def overrides(self, layers: int) -> tuple[str, ...]:
        """As --override-tensor takes them; llama.cpp goes by the first that matches."""
        ours = self._override(layers)
        return (*self.kept, ours) if ours else self.kept

    def _override(self, layers: int) -> str | None:
        if not self.lowered:
            return None
        start = self.start(layers)
        if start + self.lowered >= layers - 1:
            return rf"\.{_NAMES[self.role]}=CPU"
        numbers = "|".join(map(str, range(start, start + self.lowered)))
        return rf"blk\.(?:{numbers})\.{_NAMES[self.role]}=CPU"


def split_counts(shares: Sequence[float], gpu_layers: int) -> tuple[int, ...]:
    """How many layers each GPU gets where --tensor-split says `shares`; computed as llama.cpp does, in 32 bits."""
    bounds = np.array(list(accumulate(np.float32(share) for share in shares)), dtype=np.float32)
    if not bounds.size or bounds[-1] <= 0:
        return ()
    bounds /= bounds[-1]
    places = np.arange(gpu_layers, dtype=np.float32) / np.float32(max(1, gpu_layers))
    taken = np.searchsorted(bounds, places, side="right")
    return tuple(int(count) for count in np.bincount(taken, minlength=len(bounds)))


def parsed_overrides(texts: Sequence[str]) -> list[tuple[re.Pattern[str], str]]:
    """Pattern and buffer type, which may be none. Raises OptionError."""
    rows = []
    for text in texts:
        pattern, _, name = text.rpartition("=")
        if not pattern:
            raise OptionError(f"--override-tensor {text!r} names no buffer type.", _OVERRIDE_HINT)
        try:
            rows.append((re.compile(pattern), name))
        except re.error as error:
            told = f"--override-tensor {text!r} is no regular expression: {error}."
            raise OptionError(told, _OVERRIDE_HINT) from None
    return rows


def place_of(buffer_type: str, gpus: Sequence[str]) -> int | None:
    """The number of the GPU that a buffer type is of; that of RAM is behind theirs. None: no device has it.

    What is only described has no backend yet, so "CUDA1" is its second GPU as "GPU1" is.
    """
    if buffer_type in gpus:
        return gpus.index(buffer_type)
    if _HOST.fullmatch(buffer_type):
        return len(gpus)
    numbered = _NUMBERED.fullmatch(buffer_type)
    number = int(numbered[1]) if numbered else len(gpus)
    return number if number < len(gpus) and gpus[number] == f"GPU{number}" else None
