"""A plan as a table with sentences. As JSON and in one line it is the library's."""

from collections.abc import Mapping
from typing import Final

from ggufrun.commandline.grid import Cell, print_grid
from ggufrun.commandline.table import printable
from ggufrun.figures import bandwidth, gib, speed
from ggufrun.fit.machine import Known, Machine
from ggufrun.fit.plan import DeviceUse, Plan
from ggufrun.fit.smaller import Smaller
from ggufrun.library.plans import at_most, options

_HEAD: Final = ("DEVICE", "LAYERS", "WEIGHTS", "KV CACHE", "COMPUTE", "IMAGES", "NEEDED", "FREE", "HOW IT IS KNOWN")
_VERDICTS: Final[Mapping[str, str]] = {
    "fits": "It fits",
    "offload": "It fits, with a part of it in RAM",
    "too large": "It does not fit",
}


def print_plan(plan: Plan, machine: Machine) -> None:
    rows = [_row(use) for use in plan.devices]
    hidden = set() if any(use.mmproj for use in plan.devices) else {5}
    head = [title for i, title in enumerate(_HEAD) if i not in hidden]
    kept = [[cell for i, cell in enumerate(row) if i not in hidden] for row in rows]
    print_grid(head, kept, right=range(1, len(head) - 1))
    print(f"\n{_VERDICTS[plan.verdict]}{at_most(plan)}.")
    print(f"Options: {printable(options(plan))}")
    for sentence in plan.why:
        print(f"- {printable(sentence)}")
    if plan.fits:
        print(f"- {printable(_bandwidths(plan, machine))}")
    if plan.gains:
        print("\nWhat each knob would buy:")
        for gain in plan.gains:
            print(f"  {printable(gain.knob)}: {printable(gain.effect)}")


def print_smaller(found: Smaller, machine: Machine) -> None:
    names = [card.name for card in found.cards]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    where = "on the GPU" if machine.gpus else "in RAM"
    print(
        f"\nWholly {where} would be {listed} at {found.quant}: {gib(found.weights)} of weights, "
        f"{found.context:,} tokens of context, at most {speed(found.tok_s)} tok/s (estimated; "
        f"`ggufrun fit {names[0]}:{found.quant}` says more)."
    )


def _row(use: DeviceUse) -> list[Cell]:
    name = f"{use.name} {use.description}".strip()
    needed: Cell = gib(use.needed) if use.fits else (f"{gib(use.needed)} !", "bold red")
    sizes = [gib(size) if size else "-" for size in (use.weights, use.kv, use.compute, use.mmproj)]
    return [name, str(use.layers), *sizes, needed, gib(use.free), _known(use)]


def _known(use: DeviceUse) -> str:
    by: dict[Known, list[str]] = {}
    parts = [("weights", use.weights_known), ("KV", use.kv_known), ("compute", use.compute_known)]
    for name, known in [*parts, *([("images", use.mmproj_known)] if use.mmproj else [])]:
        by.setdefault(known, []).append(name)
    if len(by) == 1:
        return next(iter(by))
    return "; ".join(f"{' and '.join(names)} {known}" for known, names in by.items())


def _bandwidths(plan: Plan, machine: Machine) -> str:
    used = {use.name for use in plan.devices if use.needed}
    parts = [
        f"{gpu.name} {bandwidth(gpu.bandwidth)} ({gpu.bandwidth_known})" for gpu in machine.gpus if gpu.name in used
    ]
    parts.append(f"RAM {bandwidth(machine.ram_bandwidth)} ({machine.ram_bandwidth_known})")
    return (
        f"Each token reads its weights, and the cache of a quarter of the context, once: {', '.join(parts)}. "
        "Computing takes time beside that."
    )
