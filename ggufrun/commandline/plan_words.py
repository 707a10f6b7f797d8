"""A plan as a table with sentences, and as JSON."""

from collections.abc import Mapping
from typing import Any, Final

from ggufrun.commandline.grid import Cell, print_grid
from ggufrun.commandline.table import printable
from ggufrun.fit.machine import Known, Machine
from ggufrun.fit.plan import DeviceUse, Plan
from ggufrun.fit.smaller import Smaller
from ggufrun.fit.words import gib, speed
from ggufrun.settings import EngineSettings

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
    print(f"\n{_VERDICTS[plan.verdict]}{_speed(plan)}.")
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
        f"{found.context:,} tokens of context, about {speed(found.tok_s)} tok/s (estimated; "
        f"`ggufrun fit {names[0]}:{found.quant}` says more)."
    )


def in_short(plan: Plan) -> str:
    """A plan in a few words."""
    if not plan.fits:
        return f"does not fit, {gib(plan.missing)} are missing"
    where = "all on the GPU" if plan.verdict == "fits" else f"{plan.gpu_layers} of {plan.layers} layers on the GPU"
    if plan.gpu_layers == 0:
        where = "all in RAM"
    return f"{where}, {plan.context:,} tokens of context{_speed(plan).replace(':', ',')}"


def options(plan: Plan) -> str:
    """The plan as options of `ggufrun serve`: what the planner settled, and what was pinned of the same."""
    chosen = plan.overrides
    words = [f"--context {plan.context}", f"--kv-type {plan.kv_type}", f"--gpu-layers {plan.gpu_layers}"]
    if plan.batch != EngineSettings().batch:
        words.append(f"--batch {plan.batch}")
    if split := chosen.get("tensor_split"):
        words.append(f"--tensor-split {','.join(f'{share:g}' for share in split)}")
    words += [f"--override-tensor '{text}'" for text in chosen.get("override_tensors", ())]
    return " ".join(words)


def plan_json(plan: Plan) -> dict[str, Any]:
    """Bytes and tokens; the sums are over all devices."""

    def total(name: str) -> int:
        return sum(getattr(use, name) for use in plan.devices)

    return {
        "context": plan.context,
        "kv_type": plan.kv_type,
        "gpu_layers": plan.gpu_layers,
        "layers": plan.layers,
        "batch": plan.batch,
        "ubatch": plan.ubatch,
        "weight_bytes": total("weights"),
        "kv_bytes": total("kv"),
        "compute_bytes": total("compute"),
        "mmproj_bytes": total("mmproj"),
        "devices": [_device_json(use) for use in plan.devices],
        "fits": plan.fits,
        "verdict": plan.verdict,
        "missing_bytes": plan.missing,
        "predicted_tok_s": plan.predicted_tok_s,
        "predicted_known": plan.predicted_known,
        "tensor_split": list(plan.overrides.get("tensor_split", ())),
        "override_tensors": list(plan.overrides.get("override_tensors", ())),
        "options": options(plan),
        "why": list(plan.why),
        "gains": [{"knob": gain.knob, "effect": gain.effect} for gain in plan.gains],
    }


def smaller_json(found: Smaller | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "models": [card.name for card in found.cards],
        "quant": found.quant,
        "weight_bytes": found.weights,
        "context": found.context,
        "predicted_tok_s": found.tok_s,
        "known": "estimated",
    }


def _row(use: DeviceUse) -> list[Cell]:
    name = f"{use.name} {use.description}".strip()
    needed: Cell = gib(use.needed) if use.fits else (f"{gib(use.needed)} !", "bold red")
    sizes = [gib(size) if size else "-" for size in (use.weights, use.kv, use.compute, use.mmproj)]
    return [name, str(use.layers), *sizes, needed, gib(use.free), _known(use)]


def _known(use: DeviceUse) -> str:
    by: dict[Known, list[str]] = {}
    for name, known in (("weights", use.weights_known), ("KV", use.kv_known), ("compute", use.compute_known)):
        by.setdefault(known, []).append(name)
    if len(by) == 1:
        return next(iter(by))
    return "; ".join(f"{' and '.join(names)} {known}" for known, names in by.items())


def _speed(plan: Plan) -> str:
    return f": at most {speed(plan.predicted_tok_s)} tok/s" if plan.predicted_tok_s is not None else ""


def _bandwidths(plan: Plan, machine: Machine) -> str:
    used = {use.name for use in plan.devices if use.needed}
    parts = [
        f"{gpu.name} {gpu.bandwidth / 1e9:,.0f} GB/s ({gpu.bandwidth_known})"
        for gpu in machine.gpus
        if gpu.name in used
    ]
    parts.append(f"RAM {machine.ram_bandwidth / 1e9:,.0f} GB/s ({machine.ram_bandwidth_known})")
    return (
        f"Each token reads its weights, and the cache of a quarter of the context, once: {', '.join(parts)}. "
        "Computing takes time beside that."
    )


def _device_json(use: DeviceUse) -> dict[str, Any]:
    return {
        "name": use.name,
        "description": use.description,
        "layers": use.layers,
        "weight_bytes": use.weights,
        "kv_bytes": use.kv,
        "compute_bytes": use.compute,
        "mmproj_bytes": use.mmproj,
        "needed_bytes": use.needed,
        "free_bytes": use.free,
        "total_bytes": use.total,
        "margin_bytes": use.margin,
        "weights_known": use.weights_known,
        "kv_known": use.kv_known,
        "compute_known": use.compute_known,
        "fits": use.fits,
    }
