"""What a search has to solve: a model's shape, a machine's room, and what is pinned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from ggufrun.errors import OptionError
from ggufrun.fit.cache import CacheSize, sequences_of
from ggufrun.fit.layout import parsed_overrides, place_of
from ggufrun.fit.machine import Gpu, Machine
from ggufrun.fit.refused import refused
from ggufrun.fit.shape import Shape
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.settings import EngineSettings, KvType, ModelOverrides

_UBATCH: Final = 512  # as in `llama.context`, which makes the real ones
_UBATCH_CPU: Final = 128
_QUANTIZED_BLOCK: Final = 32  # elements: a head of another size has no quantized cache


@dataclass(frozen=True)
class Task:
    """`extra`: bytes that a device was found to need beyond our sums, by name. `kept`: what is to stay in RAM beside
    whatever else does, as --override-tensor takes it; nothing where that is pinned.
    """

    shape: Shape
    machine: Machine  # its GPUs are those that may be used
    pinned: ModelOverrides
    engine: EngineSettings
    default_context: int
    projector: int  # bytes, where the first layers are
    pictures: int  # bytes of RAM beside it
    exact: bool  # the headers are this very file's
    extra: Mapping[str, int] = field(default_factory=dict)
    kept: tuple[str, ...] = ()

    @classmethod
    def of(cls, subject: Subject, machine: Machine, wishes: Wishes) -> "Task":
        """Raises ModelFileError, and OptionError for an --override-tensor that the machine cannot have."""
        pinned = wishes.pinned
        if context := pinned.get("context"):
            pinned = ModelOverrides(**{**pinned, "context": subject.settled(context)})
        allowed = replace(machine, gpus=_allowed(machine.gpus, pinned))
        if not machine.here:
            _check_places(allowed, pinned.get("override_tensors", ()))
        placed = pinned.get("override_tensors") or pinned.get("gpu_layers") == 0
        names = [gpu.name for gpu in allowed.gpus]
        return cls(
            shape=subject.shape,
            machine=allowed,
            pinned=pinned,
            engine=wishes.engine,
            default_context=subject.context,
            projector=subject.projector_bytes,
            pictures=subject.picture_bytes,
            exact=subject.scale == 1.0,
            kept=() if placed else refused(subject.shape.architecture, names),
        )

    @property
    def pinned_context(self) -> int | None:
        return self.pinned.get("context")

    @property
    def pinned_layers(self) -> int | None:
        """None for auto, too."""
        layers = self.pinned.get("gpu_layers", "auto")
        return None if layers == "auto" else min(int(layers), self.shape.layers)

    @property
    def pins_a_part(self) -> bool:
        """Some of the layers are to be on GPUs, and the others in RAM, whatever there is room for."""
        return self.pinned_layers is not None and 0 < self.pinned_layers < self.shape.layers

    @property
    def on_cpu(self) -> bool:
        """Everything is computed by the processor."""
        return not self.machine.gpus or self.pinned_layers == 0

    @property
    def wanted_context(self) -> int:
        return self.pinned_context or self.default_context

    @property
    def kv_types(self) -> tuple[KvType, ...]:
        """Those that may be tried, the best first."""
        if "kv_type" in self.pinned:
            return (self.pinned["kv_type"],)
        head = self.shape.queries // max(1, self.shape.heads)
        able = head > 0 and head % _QUANTIZED_BLOCK == 0 and self.pinned.get("flash_attention") != "off"
        return ("f16", "q8_0") if able else ("f16",)

    def size(self, context: int, kv_type: KvType, *, on_cpu: bool = False) -> CacheSize:
        most = _UBATCH_CPU if on_cpu or self.on_cpu else _UBATCH
        return CacheSize(context, kv_type, min(most, self.engine.batch, context), sequences_of(self.shape, self.engine))

    def flash(self, kv_type: KvType, *, on_cpu: bool) -> bool:
        wanted = self.pinned.get("flash_attention", "auto")
        if wanted == "auto":
            return not on_cpu or kv_type != "f16"
        return wanted == "on"


def _allowed(gpus: tuple[Gpu, ...], pinned: ModelOverrides) -> tuple[Gpu, ...]:
    names = pinned.get("devices", ())
    if not names:
        return gpus
    remote = [gpu for gpu in gpus if gpu.remote and gpu.name not in names]
    return (*remote, *(gpu for name in names for gpu in gpus if gpu.name == name))


def _check_places(machine: Machine, overrides: Sequence[str]) -> None:
    """Of a machine that llama.cpp cannot be asked about."""
    for _, name in parsed_overrides(overrides):
        if place_of(name, [gpu.name for gpu in machine.gpus]) is None:
            known = ", ".join(["CPU", *(gpu.name for gpu in machine.gpus)])
            raise OptionError(f"--override-tensor: no buffer type is called {name!r}.", f"Use one of: {known}.")
