"""The table of the models on this machine, and what they take of its disk, as HTML."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from ggufrun.figures import gb, gb_of, gib
from ggufrun.ui.models.pieces import NOTHING, badge, bar, button
from ggufrun.ui.models.rows import Row

Json = dict[str, Any]

_SOURCES: Final[Mapping[str, str]] = {
    "models": "models folder",
    "package": "Python package",
    "hub": "Hugging Face cache",
    "lmstudio": "LM Studio",
    "ollama": "Ollama",
    "": "a file",
}
_STATES: Final[Mapping[str, str]] = {
    "unloaded": "served, not loaded",
    "waiting": "waits for memory",
    "ready": "loaded",
    "unloading": "unloading",
}
_HEAD: Final = Markup(
    "<thead><tr><th scope=col>Model</th><th scope=col>Quant</th><th scope=col class=number>Size</th>"
    "<th scope=col>From</th><th scope=col>State</th><th scope=col><span class=unseen>What to do</span></th>"
    "</tr></thead>"
)


def as_shelf(found: Sequence[Row], machine: Json | None, pulled: Collection[str]) -> Markup:
    """`machine` None: not known yet. `pulled`: specs that are being fetched."""
    lines = Markup("").join(_line(row, pulled) for row in found)
    table = Markup('<div class="wide"><table>{}<tbody>{}</tbody></table></div>').format(_HEAD, lines)
    none = Markup('<p class="none">There is no model here yet. Choose one below and pull it.</p>')
    return Markup("<h3>On this machine</h3>{}{}").format(_sums(found, machine), table if found else none)


def _sums(found: Sequence[Row], machine: Json | None) -> Markup:
    here = [row for row in found if row.source]
    size = sum(row.bytes for row in here)
    said = f"{len(here)} model{'' if len(here) == 1 else 's'}, {gb(size)} together." if here else ""
    if machine is None:
        return Markup('<p class="sums">{}</p>').format(said)
    disk, ram = machine["disk"], machine["ram"]
    used = disk["total_bytes"] - disk["free_bytes"]
    memory = [f"RAM: {gib(ram['free_bytes'])} free of {gib(ram['total_bytes'])}."]
    memory += [
        f"{gpu['name']} ({gpu['description']}): {gib(gpu['free_bytes'])} free of {gib(gpu['total_bytes'])}."
        for gpu in machine["gpus"]
    ]
    return Markup('<p class="sums">{} <span title="{}">Disk: {} free of {}</span> {} {}</p>').format(
        said,
        disk["folder"],
        gb(disk["free_bytes"]),
        gb(disk["total_bytes"]),
        Markup('<meter min="0" max="1" value="{}" aria-label="Disk used"></meter>').format(
            f"{used / max(1, disk['total_bytes']):.4f}"
        ),
        " ".join(memory),
    )


def _line(row: Row, pulled: Collection[str]) -> Markup:
    fetched = row.partial and any(row.name == spec or row.name.startswith(f"{spec}:") for spec in pulled)
    return Markup(
        '<tr><th scope="row">{}{}</th><td>{}</td><td class="number">{}</td><td>{}</td><td>{}</td>'
        '<td class="acts">{}</td></tr>'
    ).format(
        row.name,
        badge("sees images") if row.sees else NOTHING,
        row.quant or "–",
        _size(row),
        _SOURCES.get(row.source, row.source),
        badge("is being fetched", "middling") if fetched else _state(row),
        _acts(row, fetched),
    )


def _size(row: Row) -> str:
    if not row.source:
        return "–"
    return gb_of(row.bytes, row.of) if row.of else gb(row.bytes)


def _state(row: Row) -> Markup:
    if row.partial:
        return badge("here in part", "middling")
    if row.state == "loading":
        told = f"loading, {row.progress:.0%}"
        return Markup("{} {}").format(bar(row.progress, 1, f"{row.name} is loading"), told)
    if row.state == "failed":
        return Markup("{} <small>{}</small>").format(badge("could not be loaded", "bad"), row.error)
    if row.served:
        state = badge(_STATES.get(row.state, row.state), "good" if row.state == "ready" else "plain")
        return Markup("{}{}").format(state, _alias(row))
    return Markup("here")


def _alias(row: Row) -> Markup:
    return Markup(" <small>as {}</small>").format(row.served) if row.served != row.name else NOTHING


def _acts(row: Row, fetched: bool) -> Markup:
    """One that is served has its name in requests."""
    found = []
    if row.served and row.state == "ready" and row.chats:
        found.append(button("Use", "use", main=True, name=row.served, label=f"Use {row.name} in the chat"))
    elif row.whole and row.state not in ("ready", "loading", "waiting", "unloading"):
        found.append(button("Load", "load", main=True, name=row.name, served=row.served, label=f"Load {row.name}"))
    if row.served:
        found.append(button("Stop serving", "unserve", name=row.served, label=f"Stop serving {row.name}"))
    if row.resumable and not fetched:
        found.append(button("Go on", "pull", main=True, spec=row.name, label=f"Go on fetching {row.name}"))
    if row.whole and row.source:
        found.append(button("Plan", "local", spec=row.name, label=f"Memory plan of {row.name}"))
        found.append(button("Verify", "verify", name=row.name, label=f"Verify {row.name}"))
    if row.source and not fetched:
        sure = f"Delete {row.name}? This frees about {gb(row.bytes)}."
        found.append(button("Delete", "delete", sure=sure, name=row.name, label=f"Delete {row.name}"))
    return Markup("").join(found)
