"""Comparisons that are under way, and reports that are kept, as HTML. All of it is escaped"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from markupsafe import Markup

from ggufrun.figures import duration
from ggufrun.ui.models.pieces import NOTHING, badge, bar, button, sentences

Json = dict[str, Any]
OVER: Final = ("done", "failed", "stopped")
_SURE: Final = "Delete the report {} of {:%Y-%m-%d %H:%M}? What was measured stays: the same comparison is quick then."
_ENDS: Final = {"failed": ("failed", "bad"), "stopped": ("stopped", "middling")}


def as_runs(runs: Sequence[Json]) -> Markup:
    """Those under way; of those that have ended only the last, where it did not end well."""
    going = [each for each in runs if each["state"] not in OVER]
    last = [each for each in runs[:1] if each["state"] in _ENDS]
    items = Markup("").join(map(_run, [*going, *last]))
    return Markup('<ul class="jobs">{}</ul>').format(items) if items else NOTHING


def as_reports(reports: Sequence[Json], shown: str) -> Markup:
    """`shown`: the id of the one that is looked at."""
    if not reports:
        return Markup('<p class="quiet">There are no reports yet. <code>ggufrun compare</code> makes them, too.</p>')
    lines = Markup("").join(_line(each, each["id"] == shown) for each in reports)
    return Markup('<div class="wide"><table class="shelf"><tbody>{}</tbody></table></div>').format(lines)


def progress(run: Json) -> str:
    """How far it is, in a line."""
    if run["state"] == "waiting":
        return "Waits until the one before it has ended."
    left = f", about {duration(run['left_s'])} left" if run["left_s"] is not None else ""
    what = ": ".join(filter(None, (run["row"], run["doing"])))
    return f"{run['done']:.0%}{left}. {what}".strip()


def _run(run: Json) -> Markup:
    going = run["state"] not in OVER
    told = Markup('<p class="told">{}</p>').format(progress(run)) if going else NOTHING
    if run["state"] == "failed":
        told = Markup('<p class="wrong" role="alert">{}</p>').format(run["error"])
    return Markup(
        '<li class="job" data-run="{}" data-state="{}"><div class="top"><b title="{}">{}</b>{}<span>{}</span></div>'
        "{}{}{}</li>"
    ).format(
        run["id"],
        run["state"],
        "\n".join(run["models"]),
        ", ".join(map(_name, run["models"])),
        badge(*_ENDS[run["state"]]) if run["state"] in _ENDS else NOTHING,
        button("Stop", "halt", id=run["id"], label="Stop measuring") if going else NOTHING,
        bar(run["done"], 1, "How far the comparison is") if going else NOTHING,
        told,
        sentences(run["notes"], "notes"),
    )


def _name(model: str) -> str:
    """Of a path only the file's."""
    return re.split(r"[/\\]", model)[-1] if model.lower().endswith(".gguf") else model


def _line(report: Json, shown: bool) -> Markup:
    when = datetime.fromisoformat(report["created"]).astimezone()
    return Markup('<tr{}><th scope="row">{}{}</th><td>{}</td><td>{}</td><td class="acts">{}{}{}</td></tr>').format(
        Markup(' class="chosen"') if shown else NOTHING,
        report["title"],
        badge("stopped early", "middling") if report["unfinished"] else NOTHING,
        f"{when:%Y-%m-%d %H:%M}",
        report["recommendation"] or "",
        button("Show", "report", id=report["id"], label=f"Show {report['title']}"),
        opens(report["id"]),
        button("Delete", "forget", sure=_SURE.format(report["title"], when), id=report["id"]),
    )


def opens(id: str) -> Markup:
    """A link to the report as a page of its own; see `page`."""
    return Markup('<a href="reports/{}" target="_blank" rel="noopener">Open</a>').format(id)
