"""A row as flat figures, by the names of report.json and report.csv; `_lo` and `_hi` where it has an interval

Names end in their unit where it is not obvious: bytes, ms, s, tok_s. Shares are of 1, KL divergence is in nats.
"""

import math
from dataclasses import asdict
from typing import Any, Final

from ggufrun.compare.results import Figure, Memory, Quality, Role, Row, Speed, TaskResult

Json = dict[str, Any]
FIGURES: Final = (  # of a `Quality`, under the same names there
    "ppl", "ln_ppl_ratio", "kld_mean", "kld_median", "kld_p90", "kld_p99", "kld_p999",
    "rms_dp", "mean_dp", "top1_agreement",
)  # fmt: skip


def row_figures(row: Row, reference: str) -> Json:
    """All of a row; null where it has nothing. `reference`: the name of the row that it is compared with."""
    return {
        "name": row.name,
        "file": row.file,
        "quant": row.quant,
        "kv_type": row.kv_type,
        "reference": reference,
        "is_reference": row.role is Role.REFERENCE,
        "role": row.role.value,
        "bytes": row.bytes,
        "bpw": number(row.bpw),
        "sha256": row.sha256,
        "error": row.error,
        **quality_figures(row.ppl),
        "chat": quality_figures(row.chat) if row.chat else None,
        **_speed(row.speed),
        **_memory(row.memory),
        "greedy_agreed_mean": number(agreed_mean(row)),
        "greedy_same": sum(each.divergence is None for each in row.greedy) if row.greedy else None,
        "greedy": [_finite(asdict(each)) for each in row.greedy],
        "tasks": [_task(each) for each in row.tasks],
    }


def quality_figures(quality: Quality | None) -> Json:
    """Of one mode."""
    if quality is None:
        empty = dict.fromkeys(("positions", "chunks", "not_finite", *FIGURES, "kld_max", "kld_tail_ratio"))
        return {**empty, "depths": [], "parts": {}}
    mean, p99 = quality.kld_mean.value, quality.kld_p99.value
    found: Json = {"positions": quality.positions, "chunks": quality.chunks, "not_finite": quality.not_finite}
    for name in FIGURES:
        found |= named(name, getattr(quality, name))
    found["kld_max"] = number(quality.kld_max)
    found["kld_tail_ratio"] = number(p99 / mean) if mean > 0 else None
    found["depths"] = [
        {"lo": depth.lo, "hi": depth.hi, "positions": depth.positions, **named("kld_mean", depth.kld)}
        for depth in quality.depths
    ]
    found["parts"] = {name: named("kld_mean", figure) for name, figure in quality.parts.items()}
    return found


def named(name: str, figure: Figure | None, times: float = 1.0) -> Json:
    """`times`: into another unit."""
    if figure is None:
        return {name: None}
    found = {name: number(figure.value * times)}
    if figure.lo is not None and figure.hi is not None:
        found |= {f"{name}_lo": number(figure.lo * times), f"{name}_hi": number(figure.hi * times)}
    return found


def number(value: float | None) -> float | None:
    """JSON has no nan and no infinity."""
    return value if value is not None and math.isfinite(value) else None


def agreed_mean(row: Row) -> float | None:
    """Tokens from the start in which its greedy answers are the reference's."""
    return sum(each.agreed for each in row.greedy) / len(row.greedy) if row.greedy else None


def _speed(speed: Speed | None) -> Json:
    if speed is None:
        return {**dict.fromkeys(("pp_tok_s", "pp_tokens", "tg_tok_s", "tg_tokens", "ttft_ms")), "speed_at_depth": {}}
    return {
        **named("pp_tok_s", speed.pp),
        "pp_tokens": speed.pp_tokens,
        **named("tg_tok_s", speed.tg),
        "tg_tokens": speed.tg_tokens,
        **named("ttft_ms", speed.ttft_s, 1000.0),
        "speed_at_depth": {
            str(depth): {**named("pp_tok_s", pp), **named("tg_tok_s", tg)} for depth, (pp, tg) in speed.depths.items()
        },
    }


def _memory(memory: Memory | None) -> Json:
    if memory is None:
        return dict.fromkeys(("planned_bytes", "peak_bytes", "load_s", "fits_context", "left_bytes"))
    return {
        "planned_bytes": memory.planned,
        "peak_bytes": memory.peak,
        "load_s": number(memory.load_s),
        "fits_context": memory.fits_context,
        "left_bytes": memory.left,
    }


def _task(task: TaskResult) -> Json:
    found = asdict(task)
    del found["accuracy"]
    found |= named("accuracy", task.accuracy)
    return {name: _finite(value) for name, value in found.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return number(value)
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value
