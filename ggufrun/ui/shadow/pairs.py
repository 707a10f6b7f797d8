"""Questions with both answers, as HTML: a list, and one side by side with what differs marked. All of it is escaped"""

from datetime import datetime
from typing import Any, Final

from markupsafe import Markup

from ggufrun.ui.beside.diff import Difference, difference
from ggufrun.ui.models.pieces import NOTHING, badge, button

Json = dict[str, Any]
_KINDS: Final = {
    "text": ("same text", "good"),
    "json": ("same JSON", "good"),
    "tools": ("same tool calls", "good"),
    "different": ("different", "middling"),
    "failed": ("failed", "bad"),
}
_GLIMPSE: Final = 160  # characters of a question in the list


def as_pairs(found: Json, shown: int, *, older: bool) -> Markup:
    """GET /ggufrun/v1/shadow/pairs. `shown`: the id of the one that is looked at; `older`: these are not the newest."""
    if not found["data"]:
        return Markup('<p class="quiet">There are none.</p>')
    lines = Markup("").join(_line(each, shown=each["id"] == shown) for each in found["data"])
    newest = button("Newest", "newest") if older else NOTHING
    further = button("Older", "older", before=str(found["next"])) if found["next"] else NOTHING
    return Markup(
        '<div class="wide"><table class="shelf"><tbody>{}</tbody></table></div><p class="acts">{}{}</p>'
    ).format(lines, newest, further)


def as_pair(pair: Json) -> Markup:
    """GET /ggufrun/v1/shadow/pairs/{id}. Takes a second for long answers: not for the event loop."""
    real, shadow = whole(pair["real"]), whole(pair["shadow"])
    found = difference(real, shadow)
    cut = f" Only the first {found.cut:,} words are compared." if found.cut is not None else ""
    return Markup(
        '<section data-pair="{}"><p class="asked">{}</p><p class="quiet">{} {} similarity {}.{}</p>'
        '<div class="two">{}{}</div></section>'
    ).format(
        pair["id"],
        pair["question"],
        _when(pair),
        _kind(pair),
        f"{pair['similarity']:.2f}",
        cut,
        _side(pair["real"], "answered", _marked(found, real, "missing")),
        _side(pair["shadow"], "shadow", _marked(found, shadow, "added")),
    )


def whole(answer: Json) -> str:
    """Its text, and its tool calls below it."""
    calls = (f"{each['name']}({each['arguments']})" for each in answer["tool_calls"])
    return "\n".join(filter(None, (answer["text"], *calls)))


def _marked(found: Difference, text: str, own: str) -> Markup:
    """One of the two answers: what only it has is marked. What is not compared stands as it is."""
    if found.cut is not None or found.none:
        return Markup("{}").format(text)
    mark = Markup("<del>{}</del>") if own == "missing" else Markup("<mark>{}</mark>")
    parts = ((kind, part) for kind, part in found.parts if kind in ("same", own))
    return Markup("").join(mark.format(part) if kind == own else Markup("{}").format(part) for kind, part in parts)


def _side(answer: Json, what: str, text: Markup) -> Markup:
    figures = f"{answer['total_s']:.2f} s, {answer['completion_tokens']:,} tokens, {answer['finish_reason']}"
    cost = f", {answer['spent_usd']:.6f} USD" if answer["spent_usd"] else ""
    told = Markup('<p class="wrong" role="alert">{}</p>').format(answer["error"]) if answer["error"] else NOTHING
    return Markup(
        '<div><h4>{} <small>{}</small></h4><p class="quiet">{}{}</p>{}<div class="words">{}</div></div>'
    ).format(answer["engine"], what, figures, cost, told, text)


def _line(pair: Json, *, shown: bool) -> Markup:
    times = f"{pair['real']['total_s']:.2f} s", f"{pair['shadow']['total_s']:.2f} s"
    question = pair["question"][:_GLIMPSE] + ("…" if len(pair["question"]) > _GLIMPSE else "")
    return Markup('<tr{}><td>{}</td><th scope="row">{}</th><td>{}</td><td>{}</td><td class="acts">{}</td></tr>').format(
        Markup(' class="chosen"') if shown else NOTHING,
        _when(pair),
        question or "(nothing)",
        _kind(pair),
        " / ".join(times),
        button("Show", "pair", id=str(pair["id"]), label=f"Show the answers to {question}"),
    )


def _kind(pair: Json) -> Markup:
    text, kind = _KINDS.get(pair["agreement"], (pair["agreement"], "plain"))
    return badge(text, kind)


def _when(pair: Json) -> str:
    return f"{datetime.fromisoformat(pair['time']).astimezone():%Y-%m-%d %H:%M}"
