"""Plans how a model is loaded: formulas propose, and llama.cpp decides where it can be asked for this machine."""

from dataclasses import dataclass, replace
from typing import Final

from ggufrun.errors import CannotMeasure, OutOfMemory
from ggufrun.fit.choice import Choice, choose, override_texts
from ggufrun.fit.gains import gains_of
from ggufrun.fit.machine import Gpu, Known, Machine
from ggufrun.fit.measured import Amounts, Measure, Measured
from ggufrun.fit.placement import RAM
from ggufrun.fit.plan import DeviceUse, Plan, Verdict
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.fit.task import Task
from ggufrun.fit.words import reasons
from ggufrun.fit.workers import OUTPUT_HERE
from ggufrun.settings import ModelOverrides, ModelSettings

_PROBES: Final = 6  # each takes tens of milliseconds


def make_plan(
    subject: Subject, machine: Machine, wishes: Wishes, measure: Measure | None, *, gains: bool = False
) -> Plan:
    """`measure` None: by formulas only, as for another machine than this one. `gains`: say what each knob would buy,
    which takes as long as a few more plans. Raises OptionError and ModelFileError where a load would.
    """
    task = Task.of(subject, machine, wishes)
    if measure is None or not machine.here or not task.exact:
        draft = _Draft.of(task, choose(task), None)
    else:
        draft = _settled(subject, task, measure)
    plan = draft.plan(subject)
    return replace(plan, gains=gains_of(subject, draft.task, plan, _quick)) if gains else plan


def _quick(subject: Subject, task: Task) -> Plan:
    """By formulas, mended by what was measured for the plan that is compared."""
    return _Draft.of(task, choose(task), None).plan(subject)


def _settled(subject: Subject, task: Task, measure: Measure) -> "_Draft":
    """Propose, measure, and propose again with what was learned, until nothing changes."""
    best: _Draft | None = None
    draft = _Draft.of(task, choose(task), None)
    for _ in range(_PROBES):
        try:
            measured = measure(
                ModelSettings(subject.path, **draft.overrides), replace(task.engine, batch=draft.choice.batch)
            )
        except (CannotMeasure, OutOfMemory):
            break
        draft = draft.measured(measured)
        if draft.fits and (best is None or draft.better(best)):
            best = draft
        following = choose(draft.task)
        if following.found.layout == draft.choice.found.layout:
            break
        draft = _Draft.of(draft.task, following, None)
    return best or draft


@dataclass(frozen=True)
class _Draft:
    """A choice with its numbers: `amounts` by device, ours or llama.cpp's."""

    task: Task
    choice: Choice
    uses: tuple[DeviceUse, ...]
    overrides: ModelOverrides

    @classmethod
    def of(cls, task: Task, choice: Choice, measured: Measured | None) -> "_Draft":
        return cls(task, choice, _device_uses(task, choice, measured), _overrides(task, choice))

    @property
    def fits(self) -> bool:
        return all(use.fits for use in self.uses)

    def better(self, other: "_Draft") -> bool:
        """All on GPUs rather than not, then the longer context, then the faster."""
        return self._rank > other._rank

    @property
    def _rank(self) -> tuple[bool, int, float]:
        found = self.choice.found
        return self._verdict() == "fits", found.layout.size.context, found.tok_s

    def measured(self, measured: Measured) -> "_Draft":
        """With llama.cpp's numbers, and a task that knows by how much ours were wrong."""
        draft = _Draft.of(self.task, self.choice, measured)
        names = [gpu.name for gpu in self.task.machine.gpus] + [RAM]
        ours = {
            name: use.weights + use.kv + use.compute for name, use in zip(names, self.choice.found.uses, strict=True)
        }
        extra = {use.name: use.needed - use.mmproj - ours[use.name] for use in draft.uses}
        return replace(draft, task=replace(self.task, extra=extra))

    def plan(self, subject: Subject) -> Plan:
        found, task = self.choice.found, self.task
        layout = found.layout
        verdict = self._verdict()
        return Plan(
            context=layout.size.context,
            kv_type=layout.size.kv_type,
            gpu_layers=layout.gpu_layers,
            layers=task.shape.layers,
            ubatch=layout.size.ubatch,
            overrides=self.overrides,
            devices=self.uses,
            verdict=verdict,
            predicted_tok_s=None if verdict == "too large" else found.tok_s,
            why=reasons(task, self.choice, self.uses, verdict),
            gains=(),
            batch=self.choice.batch,
            parallel=task.engine.parallel,
            predicted_known=_speed_known(task.machine, layout.gpu_layers),
        )

    def _verdict(self) -> Verdict:
        if not self.fits:
            return "too large"
        layout = self.choice.found.layout
        if not self.task.machine.gpus:
            return "fits"
        pinned = [text for text in self.task.pinned.get("override_tensors", ()) if text != OUTPUT_HERE]
        lowered = layout.divided or pinned or any(use.copied for use in self.choice.found.uses)
        return "fits" if layout.gpu_layers == self.task.shape.layers and not lowered else "offload"


def _overrides(task: Task, choice: Choice) -> ModelOverrides:
    layout = choice.found.layout
    overrides = ModelOverrides(**task.pinned)
    overrides["context"], overrides["kv_type"] = layout.size.context, layout.size.kv_type
    overrides["gpu_layers"] = layout.gpu_layers
    if sum(count > 0 for count in layout.counts) and len(layout.counts) > 1 and "tensor_split" not in task.pinned:
        overrides["tensor_split"] = tuple(float(count) for count in layout.counts)
    if texts := override_texts(layout, task):
        overrides["override_tensors"] = texts
    return overrides


def _device_uses(task: Task, choice: Choice, measured: Measured | None) -> tuple[DeviceUse, ...]:
    found, machine = choice.found, task.machine
    names = [gpu.name for gpu in machine.gpus] + [RAM]
    amounts = [Amounts(use.weights, use.kv, use.compute) for use in found.uses]
    if measured is not None:
        amounts = [measured.devices.get(name, Amounts()) for name in names]
    projector = [task.projector if i == found.projector_on else 0 for i in range(len(names))]
    projector[-1] += task.pictures
    on_gpus = sum(
        amount.weights + amount.kv + amount.compute + beside
        for gpu, amount, beside in zip(machine.gpus, amounts, projector, strict=False)
        if gpu.shares_ram
    )
    uses = [
        replace(_gpu_use(task, gpu, amount, beside, layers, measured is not None), copied=use.copied)
        for gpu, amount, beside, layers, use in zip(
            machine.gpus, amounts, projector, found.layout.counts, found.uses, strict=False
        )
    ]
    weights, kv, compute = _labels(task, measured is not None)
    ram = amounts[-1]
    return (
        *uses,
        DeviceUse(
            RAM, ram.weights, ram.kv, ram.compute, projector[-1], machine.ram_free, machine.ram_total,
            weights, kv, compute, machine.ram_margin, "", found.layout.start(task.shape.layers), on_gpus,
        ),
    )  # fmt: skip


def _gpu_use(task: Task, gpu: Gpu, amount: Amounts, projector: int, layers: int, measured: bool) -> DeviceUse:
    weights, kv, compute = _labels(task, measured)
    return DeviceUse(
        gpu.name, amount.weights, amount.kv, amount.compute, projector, gpu.free, gpu.total,
        weights, kv, compute, gpu.margin, gpu.description, layers,
    )  # fmt: skip


def _labels(task: Task, measured: bool) -> tuple[Known, Known, Known]:
    """How the weights, the cache and the compute buffers are known."""
    if measured:
        return "measured", "measured", "measured"
    return "computed" if task.exact else "estimated", "computed" if task.shape.known else "estimated", "estimated"


def _speed_known(machine: Machine, gpu_layers: int) -> Known:
    known = {machine.ram_bandwidth_known, *(gpu.bandwidth_known for gpu in machine.gpus if gpu_layers)}
    return "computed" if known == {"measured"} else "estimated"
