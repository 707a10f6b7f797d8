"""A plan as JSON, as options of `ggufrun serve`, and in one line."""

from typing import Any

from ggufrun.figures import gib, speed
from ggufrun.fit.options import options_of
from ggufrun.fit.plan import DeviceUse, Plan
from ggufrun.fit.smaller import Smaller


def in_short(plan: Plan) -> str:
    """A plan in a few words."""
    if not plan.fits:
        return f"does not fit, {gib(plan.missing)} are missing"
    where = "all on the GPU" if plan.verdict == "fits" else f"{plan.gpu_layers} of {plan.layers} layers on the GPU"
    if plan.gpu_layers == 0:
        where = "all in RAM"
    return f"{where}, {plan.context:,} tokens of context{at_most(plan).replace(':', ',')}"


def options(plan: Plan) -> str:
    """The plan as options of `ggufrun serve`: what the planner settled, and what was pinned of the same."""
    return options_of(plan.overrides, plan.batch, plan.parallel)


def at_most(plan: Plan) -> str:
    """ ": at most 12 tok/s", to go on a sentence with; "" where it does not fit."""
    return f": at most {speed(plan.predicted_tok_s)} tok/s" if plan.predicted_tok_s is not None else ""


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
        "parallel": plan.parallel,
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
        "mmproj_known": use.mmproj_known if use.mmproj else None,
        "fits": use.fits,
    }
