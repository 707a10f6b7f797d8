"""How fast this machine's memory is read now, and whether the figure that plans use was taken while it was busy."""

from pathlib import Path
from typing import Final

from ggufrun.doctor.finding import Finding
from ggufrun.figures import bandwidth
from ggufrun.fit.bandwidth import measured_ram, ram_bandwidth

_FACTOR: Final = 1.5  # between two measurements; less is chance


def memory_speed(folder: Path) -> tuple[float, tuple[Finding, ...]]:
    """Bytes a second, measured now. `folder` is where plans keep theirs, and where one is kept after this."""
    kept = ram_bandwidth(folder)
    now = measured_ram()
    return now, judge_speed(kept, now)


def judge_speed(kept: float, now: float) -> tuple[Finding, ...]:
    if kept * _FACTOR < now:
        says = f"Plans take the memory for slower ({bandwidth(kept)}) than it is now: it was measured in a busy hour."
        return (Finding("memory", "warning", says, "Delete bandwidth.json in ggufrun's cache folder."),)
    if now * _FACTOR < kept:
        says = f"The memory is slower now than it was ({bandwidth(kept)}): other programs use it."
        return (Finding("memory", "note", says),)
    return ()
