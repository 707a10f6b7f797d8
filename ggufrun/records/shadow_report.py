"""What the pairs of real and shadow answers add up to, for each route and pair of engines. Texts are not read

How sure a share is, is counted elsewhere: see `Interval`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from ggufrun.records.shadows import Chosen, ShadowStore

Interval = Callable[
    [int, int], tuple[float, float, float]
]  # of a count and what it is of: share, and from where to where

_AGREE: Final = ("text", "json", "tools")
_COLUMNS: Final = """route, time, temperature, agreement, similarity, real_engine, real_ttft_s, real_total_s,
    real_prompt_tokens, real_completion_tokens, real_spent_usd, shadow_engine, shadow_ttft_s, shadow_total_s,
    shadow_prompt_tokens, shadow_completion_tokens, shadow_spent_usd"""


@dataclass(frozen=True, slots=True)
class EngineSum:
    """One engine's answers of the pairs that were whole. Times are medians in seconds; None: there is none."""

    engine: str
    ttft_s: float | None
    total_s: float | None
    prompt_tokens: int
    completion_tokens: int
    spent_usd: float


@dataclass(frozen=True, slots=True)
class ShadowSum:
    """All pairs of two engines on one route. `agreed` of `compared` answers agree: by text, JSON or tool calls."""

    route: str
    real: EngineSum
    shadow: EngineSum
    compared: int
    failed: int  # the shadow had no whole answer; these are in no other figure
    agreed: int
    by_text: int
    by_json: int
    by_tools: int
    share: float | None  # of agreement, with its 95 % interval; None: nothing was compared
    share_lo: float | None
    share_hi: float | None
    similarity: float | None  # median over those that differ
    sampled: int  # of those compared: at a temperature above 0, where even one engine would differ from itself
    saved_usd: float  # had the shadow's engine answered instead; below 0: it would have cost more
    last: float  # when the newest one was asked, since the epoch


def shadow_report(store: ShadowStore, chosen: Chosen, interval: Interval) -> Sequence[ShadowSum]:
    """The pair of engines that was compared last comes first. Raises OptionError and StoreBusy."""
    where, values = chosen.where()
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for row in store.rows(f"SELECT {_COLUMNS} FROM pairs WHERE {where} ORDER BY id", values):
        groups.setdefault((row["route"], row["real_engine"], row["shadow_engine"]), []).append(row)
    sums = [_sum(rows, interval) for rows in groups.values()]
    return sorted(sums, key=lambda each: each.last, reverse=True)


def _sum(rows: Sequence[Mapping[str, Any]], interval: Interval) -> ShadowSum:
    whole = [row for row in rows if row["agreement"] != "failed"]
    by = {kind: sum(row["agreement"] == kind for row in whole) for kind in _AGREE}
    agreed = sum(by.values())
    share, lo, hi = interval(agreed, len(whole)) if whole else (None, None, None)
    real, shadow = (_side(side, rows[0][f"{side}_engine"], whole) for side in ("real", "shadow"))
    return ShadowSum(
        route=rows[0]["route"],
        real=real,
        shadow=shadow,
        compared=len(whole),
        failed=len(rows) - len(whole),
        agreed=agreed,
        by_text=by["text"],
        by_json=by["json"],
        by_tools=by["tools"],
        share=share,
        share_lo=lo,
        share_hi=hi,
        similarity=_median([row["similarity"] for row in whole if row["agreement"] == "different"]),
        sampled=sum(row["temperature"] > 0 for row in whole),
        saved_usd=round(real.spent_usd - shadow.spent_usd, 9),  # a token of the cheapest models is worth more
        last=rows[-1]["time"],
    )


def _side(side: str, engine: str, rows: Sequence[Mapping[str, Any]]) -> EngineSum:
    def column(name: str) -> list[Any]:
        return [row[f"{side}_{name}"] for row in rows]

    return EngineSum(
        engine=engine,
        ttft_s=_median(column("ttft_s")),
        total_s=_median(column("total_s")),
        prompt_tokens=sum(column("prompt_tokens")),
        completion_tokens=sum(column("completion_tokens")),
        spent_usd=round(sum(column("spent_usd")), 9),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
