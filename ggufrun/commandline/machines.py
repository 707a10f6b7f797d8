"""The machine that a command plans for, and who measures for it: what `show`, `fit` and `pull` have in common."""

from ggufrun.commandline.plan_flags import MachineFlags, PlanFlags
from ggufrun.errors import CannotMeasure, OutOfMemory
from ggufrun.fit.machine import Machine, described_machine, machine_here
from ggufrun.fit.measured import Measure
from ggufrun.fit.probe import Probe
from ggufrun.fit.subject import Wishes
from ggufrun.settings import EngineSettings


def is_described_whole(flags: MachineFlags) -> bool:
    """Whether nothing of this machine counts: it need not be looked at. Without a GPU this one's build can measure."""
    return flags.ram is not None and flags.gpu is not None and flags.gpu.strip().lower() != "none"


def machine_of(flags: MachineFlags, probe: Probe | None) -> tuple[Machine, Measure | None]:
    """The second is None where only formulas can tell: for a machine that is not this one. Raises OptionError.

    `probe` may be None where `is_described_whole`.
    """
    if probe is None or is_described_whole(flags):
        nothing = Machine((), 0, 0, 1.0, "estimated", here=False)
        return described_machine(flags.gpu, flags.ram, nothing), None
    try:
        here, measure = machine_here(probe.devices()), probe
    except (CannotMeasure, OutOfMemory):
        return described_machine(flags.gpu, flags.ram, machine_here(())), None
    machine = described_machine(flags.gpu, flags.ram, here)
    return machine, measure if machine.here else None


def wishes_of(flags: PlanFlags) -> Wishes:
    """Raises OptionError."""
    return Wishes(flags.overrides(), EngineSettings(**flags.engine()))
