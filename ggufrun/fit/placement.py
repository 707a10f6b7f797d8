"""Where llama.cpp puts what: weights, caches and compute buffers of a layout on each device, and what a token reads.

Its rules: the last layers go to GPUs, the output with them; what is looked up by token stays in RAM; a tied output is
a second copy where it is on a GPU; a layer's cache lies with the layer; --override-tensor moves weights only. What a
GPU refuses to compute with is copied to RAM for each step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ggufrun.fit.cache import CacheSize, layer_bytes, layer_read
from ggufrun.fit.compute import Work, compute_bytes
from ggufrun.fit.layout import Layout, parsed_overrides, place_of
from ggufrun.fit.refused import DOWN, refused
from ggufrun.fit.shape import Role, Shape, Weight

RAM: Final = "RAM"
_TOKENS: Final = "token_embd.weight"


@dataclass(frozen=True, slots=True)
class Use:
    """What one device holds, in bytes, and reads for one token."""

    weights: int = 0
    kv: int = 0
    compute: int = 0
    read: float = 0.0
    copied: int = 0  # bytes that are copied to RAM for each step


@dataclass(slots=True)
class Sum:
    """Of some weights: bytes in RAM or on a GPU, wherever they will be, and bytes that a token reads."""

    ram: int = 0
    gpu: int = 0
    read: float = 0.0
    largest: int = 0  # of one weight, in RAM, that a GPU computes with
    refused: int = 0  # bytes of those that it does not compute with
    largest_refused: int = 0

    def add(self, weight: Weight, *, refused: bool = False) -> None:
        self.ram, self.gpu, self.read = self.ram + weight.ram, self.gpu + weight.gpu, self.read + weight.read
        if refused:
            self.refused += weight.ram
            self.largest_refused = max(self.largest_refused, weight.ram)
        else:
            self.largest = max(self.largest, weight.ram)


@dataclass(slots=True)
class Layer:
    rest: Sum = field(default_factory=Sum)
    ffn: Sum = field(default_factory=Sum)
    experts: Sum = field(default_factory=Sum)

    def of(self, role: Role) -> Sum:
        return {"rest": self.rest, "ffn": self.ffn, "experts": self.experts}[role]

    def parts(self) -> tuple[Sum, Sum, Sum]:
        return self.rest, self.ffn, self.experts


class Placement:
    """Sums a model's weights once, so that many layouts can be tried. `names` are the GPUs'."""

    def __init__(self, shape: Shape, names: Sequence[str], overrides: Sequence[str] = ()) -> None:
        self.shape, self._names = shape, names
        self.layers = [Layer() for _ in range(shape.layers)]
        self.fixed = [Sum() for _ in range(len(names) + 1)]  # put somewhere by --override-tensor; RAM is the last
        self._overridden, self._moved = bool(overrides), 0  # the largest of a layer that was put into RAM
        rules, refuses = parsed_overrides(overrides), bool(refused(shape.architecture, names))
        for weight in shape.weights:
            place = next((name for pattern, name in rules if pattern.search(weight.name)), None)
            unfit = refuses and DOWN.search(weight.name) is not None
            if place is not None:
                number = self._number(place)
                self.fixed[number].add(weight, refused=unfit)
                if number == len(names) and weight.layer in range(shape.layers - 1) and not unfit:
                    self._moved = max(self._moved, weight.ram)
            elif weight.layer is None:
                self.fixed[-1].add(weight)
            else:
                self.layers[weight.layer].of(weight.role).add(weight, refused=unfit)
        self._tie(next((name for pattern, name in rules if pattern.search(_TOKENS)), None))
        self._on_gpu = [sum(part.gpu for part in layer.parts()) for layer in self.layers]
        self._caches: dict[CacheSize, list[int]] = {}

    def need(self, index: int, size: CacheSize, lowered: Role | None) -> int:
        """Bytes that a layer takes on a GPU; those weights that are `lowered` not counted."""
        weights = self._on_gpu[index] - (self.layers[index].of(lowered).gpu if lowered else 0)
        return weights + self._kv(size)[index]

    def uses(self, layout: Layout) -> tuple[Use, ...]:
        """One a GPU, and RAM's last."""
        count = len(self._names)
        weights = [part.gpu for part in self.fixed[:-1]] + [self.fixed[-1].ram]
        reads = [part.read for part in self.fixed]
        copied = [part.refused for part in self.fixed[:-1]] + [0]
        kv = [0] * (count + 1)
        start, caches = layout.start(self.shape.layers), self._kv(layout.size)
        for index, device in enumerate(layout.devices(self.shape.layers)):
            lowered = layout.role if start <= index < start + layout.lowered else None
            for role in ("rest", "ffn", "experts"):
                part = self.layers[index].of(role)
                place = count if device < 0 or role == lowered else device
                weights[place] += part.ram if place == count else part.gpu
                reads[place] += part.read
                copied[place] += part.refused if place < count else 0
            kv[device] += caches[index]
            reads[device] += self._kv_read(index, layout.size)
        return tuple(
            Use(weights[i], kv[i], compute_bytes(self.shape, layout, self.work(layout, i)), reads[i], copied[i])
            if weights[i] or kv[i] or i == count
            else Use()
            for i in range(count + 1)
        )

    def work(self, layout: Layout, device: int) -> Work:
        """What the GPU of this number computes; the last number is RAM's, where the processor computes."""
        count, layers = len(self._names), self.shape.layers
        if device == count:
            fetched = self._fetched(layout)
            some = layout.start(layers) > 0 or layout.divided > 0 or fetched > 0
            return Work(some, not layout.gpu_layers, fetched, processor=True)
        last = max((i for i, taken in enumerate(layout.counts) if taken), default=-1)
        pipelined = self.pipelined(layout) and sum(taken > 0 for taken in layout.counts) > 1
        streamed = 0
        if device == next((i for i, taken in enumerate(layout.counts) if taken), -1):
            streamed = self.streamed(layout)
        return Work(True, device == last, streamed, pipelined)

    def pipelined(self, layout: Layout) -> bool:
        """Whether several GPUs may work at once: not where weights were put anywhere."""
        return layout.gpu_layers == self.shape.layers and not (layout.lowered or self._overridden)

    def streamed(self, layout: Layout) -> int:
        """For prompts, weights in RAM are computed with on a GPU, if it does not refuse: they come over one by one."""
        start = layout.start(self.shape.layers)
        above = [part.largest for layer in self.layers[: min(start, len(self.layers) - 1)] for part in layer.parts()]
        below = [layer.of(layout.role).largest for layer in self.layers[start : start + layout.lowered]]
        return max([*above, *below, self._moved])

    def _fetched(self, layout: Layout) -> int:
        """The largest weight that is copied from a GPU to RAM: one at a time."""
        start = layout.start(self.shape.layers)
        behind = self.layers[start + (layout.lowered if layout.role == "experts" else 0) :]
        found = [part.largest_refused for layer in behind for part in layer.parts()]
        return max([*found, *(part.largest_refused for part in self.fixed[:-1])], default=0)

    def _kv(self, size: CacheSize) -> list[int]:
        """Of each layer; the output keeps nothing."""
        if size not in self._caches:
            shape = self.shape
            self._caches[size] = [*(layer_bytes(kept, shape.window, size) for kept in shape.kept), 0]
        return self._caches[size]

    def _kv_read(self, index: int, size: CacheSize) -> float:
        kept = self.shape.kept
        return layer_read(kept[index], self.shape.window, size) if index < len(kept) else 0.0

    def _tie(self, place: str | None) -> None:
        """The output reads the token embedding; on a GPU that is another copy. `place`: where it was put, if it was."""
        if not self.shape.tied:
            return
        for weight in self.shape.weights:
            if weight.name == _TOKENS:
                output = self.layers[-1].rest if place is None else self.fixed[self._number(place)]
                copied = weight.gpu if place is None else 0
                output.gpu, output.read = output.gpu + copied, output.read + weight.ram

    def _number(self, name: str) -> int:
        place = place_of(name, self._names)
        return len(self._names) if place is None else place  # of this machine llama.cpp says whether there is one
