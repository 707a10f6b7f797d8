"""A report read back from its report.json, so that it can be shown again. What it lacks stays empty"""

import json
import math
from collections.abc import Iterable
from typing import Any

from ggufrun.compare.report.json_report import SCHEMA, SCHEMA_VERSION
from ggufrun.compare.report.rows import FIGURES, Json
from ggufrun.compare.results import (
    Depth,
    Divergence,
    Figure,
    Greedy,
    Memory,
    Pair,
    Quality,
    Recommendation,
    Report,
    Role,
    Row,
    Speed,
    TaskResult,
)
from ggufrun.errors import InputError


class NotAReport(InputError):
    def __init__(self, why: str) -> None:
        super().__init__(f"This is no report of a comparison: {why}.", "They are written by `ggufrun compare`.")
        self.why = why


def from_json(text: str | bytes) -> Report:
    """Raises NotAReport for anything else than a report of this version or an older one."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotAReport("it is not JSON") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise NotAReport(f"it does not say that it is one (schema: {SCHEMA})")
    if found.get("schema_version") not in range(1, SCHEMA_VERSION + 1):
        raise NotAReport(f"version {found.get('schema_version')!s:.20} is not known here")
    try:
        return _report(found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotAReport(f"it is damaged ({type(error).__name__}: {error!s:.80})") from error


def _report(found: Json) -> Report:
    advice = found["recommendation"]
    return Report(
        title=found["title"],
        model=found["model"],
        reference=found["reference"],
        created=found["created"],
        rows=tuple(map(_row, found["rows"])),
        pairs=_pairs(found["pairs"]),
        pairs_chat=_pairs(found["pairs_chat"]),
        noise=found["noise_kld_mean"],
        texts=tuple(found["texts"]),
        text_sha256=found["text_sha256"],
        settings=found["settings"],
        hardware=found["hardware"],
        versions=found["versions"],
        notes=tuple(found["notes"]),
        recommendation=Recommendation(**advice) if advice else None,
        unfinished=found["unfinished"],
    )


def _row(found: Json) -> Row:
    return Row(
        name=found["name"],
        file=found["file"],
        quant=found["quant"],
        kv_type=found["kv_type"],
        role=Role(found["role"]),
        bytes=found["bytes"],
        bpw=_number(found["bpw"]),
        sha256=found["sha256"],
        ppl=_quality(found),
        chat=_quality(found["chat"]),
        greedy=tuple(map(_greedy, found["greedy"])),
        tasks=tuple(map(_task, found["tasks"])),
        speed=_speed(found),
        memory=_memory(found),
        error=found["error"],
    )


def _quality(found: Json | None) -> Quality | None:
    if found is None or found["positions"] is None:
        return None
    depths = (Depth(each["lo"], each["hi"], each["positions"], _figure(each, "kld_mean")) for each in found["depths"])
    return Quality(
        positions=found["positions"],
        chunks=found["chunks"],
        not_finite=found["not_finite"],
        kld_max=_number(found["kld_max"]),
        depths=tuple(depths),
        parts={name: _figure(each, "kld_mean") for name, each in found["parts"].items()},
        **{name: _figure(found, name) for name in FIGURES},
    )


def _greedy(found: Json) -> Greedy:
    parting = found["divergence"]
    if parting:
        chances = {name: _number(parting[name]) for name in ("p_reference_own", "p_own", "p_of_reference")}
        parting = Divergence(**{**parting, **chances})
    return Greedy(**{**found, "divergence": parting})


def _task(found: Json) -> TaskResult:
    accuracy = _figure(found, "accuracy")
    return TaskResult(accuracy=accuracy, **{name: each for name, each in found.items() if "accuracy" not in name})


def _speed(found: Json) -> Speed | None:
    if found["pp_tokens"] is None:
        return None
    depths = found["speed_at_depth"].items()
    return Speed(
        pp=_figure(found, "pp_tok_s"),
        pp_tokens=found["pp_tokens"],
        tg=_figure(found, "tg_tok_s"),
        tg_tokens=found["tg_tokens"],
        depths={int(depth): (_figure(each, "pp_tok_s"), _figure(each, "tg_tok_s")) for depth, each in depths},
        ttft_s=_figure(found, "ttft_ms", 1000.0) if found["ttft_ms"] is not None else None,
    )


def _memory(found: Json) -> Memory | None:
    if found["peak_bytes"] is None:
        return None
    load_s = _number(found["load_s"])
    return Memory(found["planned_bytes"], found["peak_bytes"], load_s, found["fits_context"], found["left_bytes"])


def _pairs(found: Iterable[Json]) -> tuple[Pair, ...]:
    return tuple(
        Pair(each["a"], each["b"], _figure(each, "difference"), each["p_a_better"], each["is_tied"]) for each in found
    )


def _figure(found: Json, name: str, per: float = 1.0) -> Figure:
    lo, hi = found.get(f"{name}_lo"), found.get(f"{name}_hi")
    return Figure(_number(found[name]) / per, None if lo is None else lo / per, None if hi is None else hi / per)


def _number(value: Any) -> float:
    return math.nan if value is None else value
