"""The plan for a model on this machine as it is now: llama.cpp is asked, in a process of its own, and `fit` decides.

Apart from `planning`, because what obviously fits needs none of it, and its imports take a while.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

from ggufrun.errors import CannotMeasure, OptionError, OutOfMemory
from ggufrun.figures import gib
from ggufrun.fit.machine import Gpu, machine_here
from ggufrun.fit.options import options_of
from ggufrun.fit.plan import Plan
from ggufrun.fit.planner import make_plan
from ggufrun.fit.probe import Probe
from ggufrun.fit.remembered import KNOBS
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.fit.workers import OUTPUT_HERE, with_workers
from ggufrun.settings import EngineSettings, ModelOverrides
from ggufrun.store.resolve import ResolvedModel
from ggufrun.weights.header import Header

_RAM: Final = "RAM"


@dataclass(frozen=True, slots=True)
class Planned:
    """What to load with, and what the user should know of it: "" where nothing is less than it could be."""

    overrides: ModelOverrides
    batch: int
    note: str


class Measuring:
    """The measuring process, while it is used. To enter it raises CannotMeasure, as all of its methods do."""

    def __init__(self, workers: tuple[Gpu, ...] = ()) -> None:
        """`workers`: other machines' devices, which are asked for no more here."""
        self._probe, self._workers = Probe(), workers

    def __enter__(self) -> Self:
        try:
            self._machine = with_workers(machine_here(self._probe.devices()), self._workers, there=True)
        except OutOfMemory as error:  # of the measuring process: the model is another matter
            self.close()
            raise CannotMeasure(error.message) from error
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """From any thread: what is being measured ends with CannotMeasure."""
        self._probe.close()

    def gpus(self) -> Mapping[str, int]:
        """Their whole memory, in bytes."""
        return {gpu.name: gpu.total for gpu in self._machine.gpus}

    def free(self) -> Mapping[str, int]:
        """The free bytes of all devices."""
        return {_RAM: self._machine.ram_free, **{gpu.name: gpu.free for gpu in self._machine.gpus}}

    def planned(
        self,
        spec: str,
        found: ResolvedModel,
        pinned: Mapping[str, Any],
        engine: EngineSettings,
        projector: Header | None = None,
    ) -> Planned:
        """With room for the part that sees images, which is loaded when it is used.

        Raises OutOfMemory where it cannot fit, and nothing is pinned that says to try all the same.
        """
        subject = Subject(found.path, found.headers(), found.name, found.card, projector)
        plan = self._plan(subject, _kept(subject, pinned), engine)
        command = _command(spec, pinned, engine)
        ours = {"override_tensors"} if pinned.get("override_tensors") == (OUTPUT_HERE,) else set()
        if not plan.fits and not (pinned.keys() - ours) & set(KNOBS):
            raise OutOfMemory(
                f"{found.name} does not fit in this machine's memory. {plan.why[0]}",
                f"Choose a smaller quant: `{command}` says more. To try all the same, give --context N.",
            )
        less = _less(plan, subject, pinned)
        return Planned(plan.overrides, plan.batch, f"{less}; `{command}` says why" if less else "")

    def _plan(self, subject: Subject, pinned: Mapping[str, Any], engine: EngineSettings) -> Plan:
        wished: Any = pinned
        try:
            return make_plan(subject, self._machine, Wishes(wished, engine), self._probe)
        except OptionError:
            if "kv_type" in pinned:
                raise
            # Some models cannot have a q8_0 cache, which only llama.cpp knows.
            wished = {**pinned, "kv_type": "f16"}
            return make_plan(subject, self._machine, Wishes(wished, engine), self._probe)


def _kept(subject: Subject, pinned: Mapping[str, Any]) -> Mapping[str, Any]:
    """How long a text may be of which a vector is made is no matter of memory."""
    return {"context": subject.context, "kv_type": "f16", **pinned} if subject.embeds else pinned


def _command(spec: str, pinned: Mapping[str, Any], engine: EngineSettings) -> str:
    """What plans as it was planned here."""
    knobs = ModelOverrides(**pinned)  # type: ignore[typeddict-item]  # what was pinned has its names
    parallel = engine.parallel if engine.parallel != EngineSettings().parallel else None
    return f"ggufrun fit {shlex.quote(spec)} {options_of(knobs, engine.batch, parallel)}".strip()


def _less(plan: Plan, subject: Subject, pinned: Mapping[str, Any]) -> str:
    """What is less than it could be, as in "context 16384 of 131072, 28 of 41 layers on CUDA0"."""
    offloaded = plan.verdict == "offload" and "gpu_layers" not in pinned
    shorter = "context" not in pinned and plan.context < subject.context
    coarser = plan.kv_type != "f16" and "kv_type" not in pinned
    copied = sum(use.copied for use in plan.devices)
    if not (offloaded or shorter or coarser or copied):
        return ""
    trained = subject.headers[0].context_train or 0
    parts = [f"context {plan.context}" + (f" of {trained}" if plan.context < trained else "")]
    if coarser:
        parts.append(f"{plan.kv_type} KV cache")
    if offloaded:
        names = " and ".join(use.name for use in plan.devices if use.name != _RAM and use.needed) or "the GPU"
        some = "parts of " if plan.gpu_layers == plan.layers else ""
        parts.append(f"{some}{plan.gpu_layers} of {plan.layers} layers on {names}")
    if copied:
        parts.append(f"{gib(copied)} of experts copied to RAM for each token")
    return ", ".join(parts)
