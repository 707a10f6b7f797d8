"""The machine that is planned for, and who measures for it: this one, or one that is described in words."""

from ggufrun.errors import CannotMeasure, OutOfMemory
from ggufrun.fit.machine import Machine, described_machine, machine_here
from ggufrun.fit.measured import Measure
from ggufrun.fit.probe import Probe


def is_described_whole(gpu: str | None, ram: str | None) -> bool:
    """Whether nothing of this machine counts: it need not be looked at. Without a GPU this one's build can measure."""
    return ram is not None and gpu is not None and gpu.strip().lower() != "none"


def machine_of(gpu: str | None, ram: str | None, probe: Probe | None) -> tuple[Machine, Measure | None]:
    """`gpu` and `ram` as --gpu and --ram have them; None: as it is here. Raises OptionError.

    The second is None where only formulas can tell: for a machine that is not this one. `probe` may be None where
    `is_described_whole`.
    """
    if probe is None or is_described_whole(gpu, ram):
        nothing = Machine((), 0, 0, 1.0, "estimated", here=False)
        return described_machine(gpu, ram, nothing), None
    try:
        here, measure = machine_here(probe.devices()), probe
    except (CannotMeasure, OutOfMemory):
        return described_machine(gpu, ram, machine_here(())), None
    machine = described_machine(gpu, ram, here)
    return machine, measure if machine.here else None
