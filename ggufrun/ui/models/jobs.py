"""Pulls and checks in words and as HTML: how far, how fast, how long still, and what became of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from markupsafe import Markup

from ggufrun.figures import duration, gb, gb_of
from ggufrun.ui.models.pieces import NOTHING, badge, bar, button, sentences
from ggufrun.ui.models.rows import Row

Json = dict[str, Any]

OVER: Final = ("done", "failed", "stopped")
_KEPT: Final = 5  # that are over
_FOR: Final = timedelta(hours=1)
_FILES: Final[Mapping[str, str]] = {
    "coming": "comes next",
    "waiting": "another program fetches it; waiting for that",
    "fetching": "is being fetched",
    "checking": "its checksum is being checked",
    "reading": "is being read",
    "here": "here",
}
_ENDS: Final[Mapping[str, tuple[str, str]]] = {
    "done": ("done", "good"),
    "failed": ("failed", "bad"),
    "stopped": ("stopped", "middling"),
}


def is_check(job: Json) -> bool:
    return "names" in job


def subject(job: Json) -> str:
    """What it is about, in the user's words."""
    if is_check(job):
        return ", ".join(job["names"]) or "all models"
    return str(job["spec"])


def listed(pulls: Sequence[Json], checks: Sequence[Json], now: datetime) -> list[Json]:
    """Those to be shown: all that are under way, and of each thing the last one that ended, not long ago."""
    latest: dict[tuple[bool, str], Json] = {}
    for job in sorted((*pulls, *checks), key=lambda job: str(job["created"]), reverse=True):
        latest.setdefault((is_check(job), subject(job)), job)
    going = [job for job in latest.values() if job["state"] not in OVER]
    ended = [job for job in latest.values() if job["state"] in OVER and now - _time(job["ended"]) < _FOR]
    return [*going, *ended[:_KEPT]]


def as_jobs(jobs: Sequence[Json], speeds: Mapping[str, float], rows: Sequence[Row]) -> Markup:
    """`speeds` of those that are known, in bytes a second. `rows`: what is here already, and served."""
    if not jobs:
        return NOTHING
    here = {row.name: row for row in rows}
    items = Markup("").join(_item(job, speeds.get(job["id"]), here) for job in jobs)
    return Markup('<h3>Under way</h3><ul class="jobs">{}</ul>').format(items)


def progress(job: Json, speed: float | None) -> str:
    """How it goes, in a line."""
    if job["state"] == "waiting":
        return "Waits until the one before it has ended."
    if not job["files"]:
        return job["notes"][-1] if job["notes"] else "Looking at what there is."
    done, size = job["done"], job["size"]
    said = f"{gb_of(done, size)}"
    states = {file["state"] for file in job["files"]}
    if "fetching" not in states and "checking" in states:
        return f"{gb(size)} are here; the checksum is being checked."
    if speed is None:
        return f"{said}."
    if speed < 1:
        return f"{said}; nothing comes at the moment."
    left = f", {duration((size - done) / speed)} left" if not is_check(job) else ""
    return f"{said}, {gb(speed)}/s{left}."


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _item(job: Json, speed: float | None, here: Mapping[str, Row]) -> Markup:
    return Markup(
        '<li class="job" data-job="{}" data-state="{}"><div class="top"><b>{} {}</b>{}<span>{}</span></div>{}</li>'
    ).format(
        job["id"],
        job["state"],
        "Check of" if is_check(job) else "Pull of",
        subject(job),
        badge(*_ENDS[job["state"]]) if job["state"] in _ENDS else NOTHING,
        _acts(job, here),
        _ended(job) if job["state"] in OVER else _going(job, speed),
    )


def _acts(job: Json, here: Mapping[str, Row]) -> Markup:
    what, check = subject(job), is_check(job)
    if job["state"] not in OVER:
        return button("Stop", "halt", id=job["id"], kind="verify" if check else "pulls", label=f"Stop {what}")
    if check:
        return NOTHING
    if job["state"] == "done":
        row = here.get(job["result"]["name"])
        if row is None or row.served:
            return NOTHING  # gone since, or the table has its buttons
        return button("Load it", "load", main=True, name=row.name, label=f"Load {what}")
    text = "Go on" if job["state"] == "stopped" else "Try again"
    mmproj = "on" if job["mmproj"] else ""
    return button(text, "pull", main=True, spec=job["spec"], mmproj=mmproj, label=f"{text}: {what}")


def _going(job: Json, speed: float | None) -> Markup:
    told = Markup('<p class="told">{}</p>').format(progress(job, speed))
    whole = bar(job["done"], job["size"], f"How far {subject(job)} is")
    return Markup("{}{}{}{}").format(whole, told, _files(job), sentences(job["notes"] if job["files"] else [], "notes"))


def _files(job: Json) -> Markup:
    several = job["files"] if len(job["files"]) > 1 else []
    return sentences([f"{_name(file)}: {_state(file)}" for file in several], "files")


def _state(file: Json) -> str:
    state = _FILES.get(file["state"], file["state"])
    if file["state"] in ("fetching", "reading"):
        return f"{state}, {gb_of(file['done'], file['size'])}"
    return f"{state}, {gb(file['size'])}"


def _name(file: Json) -> str:
    return str(file["file"]).replace("\\", "/").rpartition("/")[2]


def _ended(job: Json) -> Markup:
    if job["state"] == "failed":
        return Markup('<p class="wrong" role="alert">{}</p>').format(job["error"])
    if job["state"] == "stopped":
        kept = "" if is_check(job) else f" {gb(job['done'])} are here and are kept."
        return Markup('<p class="told">Stopped.{}</p>').format(kept)
    if is_check(job):
        return Markup("").join(_checked(each) for each in job["result"]["data"]) or Markup(
            '<p class="told">There was nothing to check.</p>'
        )
    return Markup('<p class="told">{} is here, {}.</p>{}').format(
        job["result"]["name"], gb(job["size"]), sentences(job["notes"], "notes")
    )


def _checked(each: Json) -> Markup:
    hint = Markup(" <small>{}</small>").format(each["hint"]) if each["hint"] else NOTHING
    state = badge(each["state"], {"right": "good", "wrong": "bad"}.get(each["state"], "middling"))
    return Markup('<p class="told">{} {}: {}{}</p>').format(state, each["name"], each["says"], hint)
