"""One report as HTML: what it recommends, its table, and its pictures. All of it is escaped

The pictures are data within `img`: what is drawn there can neither run nor load anything.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from ggufrun.figures import gb, gib, nats, percent, speed
from ggufrun.ui.measured.runs import opens
from ggufrun.ui.models.pieces import NOTHING, badge, sentences

Json = dict[str, Any]
PICTURES: Final = {
    "pareto.svg": "KL divergence against memory and speed",
    "depth.svg": "KL divergence by position in the context",
}
_ROLES: Final = {"reference": "reference", "self": "again: must be 0", "noise": "noise: below it is tied"}
# Title, name in report.json, how it is written, and what it means.
_COLUMNS: Final[Sequence[tuple[str, str, Callable[[Any], str], str]]] = (
    ("Size", "bytes", gb, "The file, or all files of a set."),
    ("bpw", "bpw", lambda value: f"{value:.2f}", "Bits per weight."),
    ("KL div.", "kld_mean", nats, "Mean KL divergence from the reference, in nats. 0 is identical."),
    ("KL p99", "kld_p99", nats, "99 % of the positions are under it."),
    ("Same top", "top1_agreement", percent, "How often the most likely token is the reference's."),
    (
        "PPL",
        "ppl",
        lambda value: f"{value:,.{2 if value < 1000 else 0}f}",
        "Perplexity, as llama-perplexity counts it.",
    ),
    ("Memory", "peak_bytes", gib, "Measured peak."),
    ("tok/s", "tg_tok_s", speed, "Token generation, by llama-bench's method."),
    ("Prompt tok/s", "pp_tok_s", speed, "Prompt processing, by llama-bench's method."),
)


def as_report(id: str, report: Json, pictures: Mapping[str, bytes]) -> Markup:
    advice = (report.get("recommendation") or {}).get("sentence")
    return Markup('<section data-report="{}"><h3>{} {}</h3>{}{}{}<div class="pictures">{}</div></section>').format(
        id,
        report["title"],
        opens(id),
        Markup("<p><b>{}</b></p>").format(advice) if advice else NOTHING,
        _table(report["rows"]),
        sentences(list(report.get("notes") or ()), "notes"),
        Markup("").join(_picture(PICTURES[name], content) for name, content in pictures.items()),
    )


def _table(rows: Sequence[Json]) -> Markup:
    heads = Markup("").join(
        Markup('<th scope="col" class="number" title="{}">{}</th>').format(why, title) for title, _, _, why in _COLUMNS
    )
    lines = Markup("").join(map(_line, rows))
    return Markup(
        '<div class="wide"><table class="measured"><thead><tr><th scope="col">Row</th>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>"
    ).format(heads, lines)


def _line(row: Json) -> Markup:
    role = badge(_ROLES[row["role"]]) if row["role"] in _ROLES else NOTHING
    name = Markup('<th scope="row" title="{}">{} {}</th>').format(row["file"], row["name"], role)
    if row.get("error") and row.get("kld_mean") is None:
        return Markup('<tr>{}<td colspan="{}" class="wrong">{}</td></tr>').format(name, len(_COLUMNS), row["error"])
    cells = Markup("").join(_cell(row, column, written) for _, column, written, _ in _COLUMNS)
    return Markup("<tr>{}{}</tr>").format(name, cells)


def _cell(row: Json, column: str, written: Callable[[Any], str]) -> Markup:
    value, lo, hi = (row.get(f"{column}{end}") for end in ("", "_lo", "_hi"))
    if value is None:
        return Markup('<td class="number">–</td>')
    has_width = None not in (lo, hi) and lo != hi  # the reference's is exactly 0, from 0 to 0
    between = Markup(" <small>{} to {}</small>").format(written(lo), written(hi)) if has_width else NOTHING
    return Markup('<td class="number">{}{}</td>').format(written(value), between)


def _picture(about: str, content: bytes) -> Markup:
    return Markup('<img src="data:image/svg+xml;base64,{}" alt="{}">').format(b64encode(content).decode(), about)
