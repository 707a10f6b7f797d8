"""Ways to load a model that a machine has room for: for one size of the cache, the fastest by what memory allows."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ggufrun.fit.cache import CacheSize
from ggufrun.fit.compute import Work, compute_bytes
from ggufrun.fit.layout import Layout, split_counts
from ggufrun.fit.placement import RAM, Placement, Use
from ggufrun.fit.shape import Role
from ggufrun.fit.speed import tokens_per_second
from ggufrun.fit.task import Task


@dataclass(frozen=True, slots=True)
class Found:
    """`uses` are one a GPU and RAM's last; the projector is on device number `projector_on`."""

    layout: Layout
    uses: tuple[Use, ...]
    tok_s: float
    projector_on: int
    fits: bool


class Search:
    def __init__(self, task: Task) -> None:
        self._task, self._shape, self._gpus = task, task.shape, task.machine.gpus
        self.placement = Placement(
            task.shape, [gpu.name for gpu in self._gpus], task.pinned.get("override_tensors") or task.kept
        )
        speeds = [gpu.bandwidth for gpu in self._gpus]
        # The card that is not filled to its brim is the slowest one, and of equal ones the last.
        self._slack_order = sorted(range(len(speeds)), key=lambda i: (speeds[i], -i))

    def whole(self, size: CacheSize) -> Found | None:
        """All layers on GPUs; without any, all in RAM."""
        if self._task.on_cpu:
            return self.in_ram(size)
        return self._fitting(self._placed(size, self._goal, 0, "rest"))

    def in_ram(self, size: CacheSize) -> Found | None:
        return self._fitting(self.judged(self._layout(size, (0,) * len(self._gpus))))

    def fastest(self, size: CacheSize) -> Found | None:
        """Whatever must be, in RAM: whole layers, or of all layers the experts or the feed-forward networks."""
        ways: list[Found | None] = [self.layers_in_ram(size)]
        if "override_tensors" not in self._task.pinned:
            ways += [self._lowered(size, "experts"), self._lowered(size, "ffn")]
        fitting = [way for way in ways if way is not None and way.fits]
        return max(fitting, key=lambda way: way.tok_s, default=None)

    def layers_in_ram(self, size: CacheSize) -> Found:
        """As many layers on GPUs as there is room for, though the rest may be too much for RAM."""
        if self._task.pinned_layers is None and not self._task.on_cpu:
            found = _most(1, self._goal, lambda count: self._placed(size, count, 0, "rest"))
            if found is not None:
                return found
        elif not self._task.on_cpu:
            counts = self._counts(size, self._goal, 0, "rest") or (self._goal, *(0 for _ in self._gpus[1:]))
            return self.judged(self._layout(size, counts))
        on_cpu = self._task.size(size.context, size.kv_type, on_cpu=True)
        return self.judged(self._layout(on_cpu, (0,) * len(self._gpus)))

    def judged(self, layout: Layout) -> Found:
        """What a layout takes, and whether there is room."""
        task = self._task
        uses = self.placement.uses(layout)
        projector_on = next((i for i, count in enumerate(layout.counts) if count), len(self._gpus))
        needs = [use.weights + use.kv + use.compute for use in uses]
        needs[projector_on] += task.projector
        needs[-1] += task.pictures
        shared = 0
        fits = True
        for gpu, need in zip(self._gpus, needs, strict=False):
            room = gpu.free - gpu.margin - task.extra.get(gpu.name, 0)
            fits = fits and (not need or need <= room)
            shared += need if gpu.shares_ram else 0
        room = task.machine.ram_free - task.machine.ram_margin - task.extra.get(RAM, 0)
        fits = fits and needs[-1] + shared <= room
        return Found(
            layout, uses, tokens_per_second(uses, layout, task.machine, self._shape.layers), projector_on, fits
        )

    @property
    def _goal(self) -> int:
        pinned = self._task.pinned_layers
        return self._shape.layers if pinned is None else pinned

    def _lowered(self, size: CacheSize, role: Role) -> Found | None:
        """Of as few layers as must be; of all, if that is not enough, on fewer layers."""
        if self._task.on_cpu or not any(layer.of(role).gpu for layer in self.placement.layers):
            return None
        blocks = self._goal - 1  # the output has none
        few = bisect_left(
            range(1, blocks + 1), True, key=lambda count: self._counts(size, self._goal, count, role) is not None
        )
        if few < blocks:
            return self._placed(size, self._goal, few + 1, role)
        if self._task.pinned_layers is not None:
            return None
        return _most(2, self._goal - 1, lambda count: self._placed(size, count, count - 1, role))

    def _fitting(self, found: Found | None) -> Found | None:
        return found if found is not None and found.fits else None

    def _placed(self, size: CacheSize, gpu_layers: int, lowered: int, role: Role) -> Found | None:
        counts = self._counts(size, gpu_layers, lowered, role)
        return None if counts is None else self.judged(self._layout(size, counts, lowered, role))

    def _layout(self, size: CacheSize, counts: tuple[int, ...], lowered: int = 0, role: Role = "rest") -> Layout:
        # llama.cpp's choice is without, where a layer in RAM would attend on a GPU, as it does for prompts
        flash = self._task.flash(size.kv_type, on_cpu=sum(counts) < self._shape.layers)
        return Layout(size, flash, counts, lowered, role, self._task.kept if any(counts) else ())

    def _counts(self, size: CacheSize, gpu_layers: int, lowered: int, role: Role) -> tuple[int, ...] | None:
        """How many layers each GPU gets, or None where they have no room for so many."""
        start = self._shape.layers - gpu_layers
        needs = [
            self.placement.need(i, size, role if i < start + lowered else None)
            for i in range(start, self._shape.layers)
        ]
        split = self._task.pinned.get("tensor_split", ())
        for outputs in ({len(self._gpus) - 1}, set(range(len(self._gpus)))):
            rooms = self._rooms(self._layout(size, (gpu_layers,), lowered, role), outputs)
            if split:
                counts: tuple[int, ...] | None = split_counts(split[: len(self._gpus)], gpu_layers)
                counts = counts if counts and _has_room(needs, rooms, counts) else None
            else:
                counts = self._filled(needs, rooms)
            if counts is not None and self._gpus_fit(self._layout(size, counts, lowered, role)):
                return counts
        return None

    def _gpus_fit(self, layout: Layout) -> bool:
        if len(self._gpus) == 1:
            return True  # its room was computed with all of it
        uses = self.placement.uses(layout)
        first = next(i for i, count in enumerate(layout.counts) if count)
        for i, (gpu, use) in enumerate(zip(self._gpus, uses, strict=False)):
            need = use.weights + use.kv + use.compute + (self._task.projector if i == first else 0)
            if need and need > gpu.free - gpu.margin - self._task.extra.get(gpu.name, 0):
                return False
        return True

    def _rooms(self, layout: Layout, outputs: set[int]) -> list[int]:
        """Bytes that each GPU has for layers."""
        shape = self._shape
        pipelined = self.placement.pipelined(layout) and len(self._gpus) > 1
        streamed = self.placement.streamed(layout)
        rooms = []
        for i, gpu in enumerate(self._gpus):
            work = Work(True, i in outputs, 0 if i else streamed, pipelined)
            taken = (
                compute_bytes(shape, layout, work) + self.placement.fixed[i].gpu + (0 if i else self._task.projector)
            )
            rooms.append(gpu.free - gpu.margin - self._task.extra.get(gpu.name, 0) - taken)
        return rooms

    def _filled(self, needs: Sequence[int], rooms: Sequence[int]) -> tuple[int, ...] | None:
        """All but one GPU filled to the brim, from both ends; that one gets what is between."""
        sums = [0, *accumulate(needs)]
        for slack in self._slack_order:
            counts, low, high = [0] * len(rooms), 0, len(needs)
            for i in range(slack):
                counts[i] = max(0, bisect_right(sums, sums[low] + rooms[i]) - 1 - low)
                low += counts[i]
            for i in reversed(range(slack + 1, len(rooms))):
                start = max(low, bisect_left(sums, sums[high] - max(0, rooms[i])))
                counts[i], high = high - start, start
            if high == low or sums[high] - sums[low] <= rooms[slack]:
                counts[slack] = high - low
                return tuple(counts)
        return None


def _has_room(needs: Sequence[int], rooms: Sequence[int], counts: Sequence[int]) -> bool:
    at = 0
    for room, count in zip(rooms, counts, strict=False):
        if count and sum(needs[at : at + count]) > room:
            return False
        at += count
    return at == len(needs)


def _most(least: int, most: int, placed: Callable[[int], Found | None]) -> Found | None:
    """The way with the largest count that there is room for: what fits with many fits with fewer."""
    best = None
    while least <= most:
        middle = (least + most + 1) // 2
        found = placed(middle)
        if found is None:
            most = middle - 1
        else:
            best, least = found, middle + 1
    return best
