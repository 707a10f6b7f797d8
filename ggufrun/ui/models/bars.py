"""A plan's devices as stacked bars, and the table that says the same in numbers. The sums are the API's bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from ggufrun.figures import gib
from ggufrun.ui.models.pieces import NOTHING, badge

Json = dict[str, Any]

KINDS: Final = {
    "others": "other programs",
    "weights": "weights",
    "kv": "KV cache",
    "compute": "compute buffers",
    "mmproj": "image part",
    "free": "still free",
    "margin": "kept free",
}
_PLANNED: Final = ("weights", "kv", "compute", "mmproj")


@dataclass(frozen=True, slots=True)
class Device:
    """`parts` in the order of `KINDS`. `missing`: what it lacks; then the parts are longer than `total`."""

    name: str
    about: str
    parts: dict[str, int]
    total: int
    missing: int
    known: dict[str, str]

    @property
    def length(self) -> int:
        return max(1, self.total, sum(self.parts.values()))


def devices(plan: Json) -> list[Device]:
    return [_device(each) for each in plan["devices"]]


def as_bars(plan: Json) -> Markup:
    found = devices(plan)
    bars = Markup("").join(_bar(each) for each in found)
    return Markup('<div class="bars">{}</div>{}').format(bars, _table(found))


def _device(use: Json) -> Device:
    total, free, needed, margin = (use[f"{name}_bytes"] for name in ("total", "free", "needed", "margin"))
    left = free - needed
    kept = max(0, min(margin, left))
    parts = {
        "others": max(0, total - free),
        **{kind: use[{"weights": "weight"}.get(kind, kind) + "_bytes"] for kind in _PLANNED},
        "free": max(0, left - kept),
        "margin": kept,
    }
    known = {kind: str(use[f"{kind}_known"]) for kind in _PLANNED if use.get(f"{kind}_known")}
    missing = 0 if use["fits"] else max(0, needed + margin - free)
    return Device(use["name"], use.get("description") or "", parts, total, missing, known)


def _bar(device: Device) -> Markup:
    length = device.length
    parts = Markup("").join(
        Markup('<i class="{}" style="width:{}%" data-bytes="{}" title="{}"></i>').format(
            kind, f"{size / length * 100:.3f}", size, f"{KINDS[kind]}: {gib(size)}"
        )
        for kind, size in device.parts.items()
        if size
    )
    end = Markup('<u style="left:{}%" title="All its memory"></u>').format(f"{device.total / length * 100:.3f}")
    told = f"{device.name}: " + ", ".join(f"{KINDS[kind]} {gib(size)}" for kind, size in device.parts.items() if size)
    lacks = badge(f"{gib(device.missing)} missing", "bad") if device.missing else NOTHING
    return Markup(
        '<figure data-device="{}"><figcaption><b>{}</b> {} <span>{} in all</span> {}</figcaption>'
        '<div class="bar" role="img" aria-label="{}">{}{}</div></figure>'
    ).format(
        device.name,
        device.name,
        device.about if device.about != device.name else "",
        gib(device.total),
        lacks,
        told,
        parts,
        end if device.total < length else NOTHING,
    )


def _table(found: Sequence[Device]) -> Markup:
    heads = Markup("").join(Markup('<th scope="col" class="number">{}</th>').format(each.name) for each in found)
    lines = Markup("").join(_line(kind, found) for kind in KINDS if any(each.parts[kind] for each in found))
    return Markup(
        '<div class="wide"><table class="legend"><thead><tr><th scope="col">Memory</th>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>"
    ).format(heads, lines)


def _line(kind: str, found: Sequence[Device]) -> Markup:
    cells = Markup("").join(
        Markup('<td class="number">{} <small>{}</small></td>').format(
            gib(each.parts[kind]), each.known.get(kind, "") if each.parts[kind] else ""
        )
        for each in found
    )
    return Markup('<tr><th scope="row"><i class="{}"></i> {}</th>{}</tr>').format(kind, KINDS[kind], cells)
