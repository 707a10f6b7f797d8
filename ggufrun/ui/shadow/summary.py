"""What real and shadow answers add up to, as HTML: this server's shadows, and a table of engines. All is escaped"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from markupsafe import Markup

from ggufrun.figures import percent
from ggufrun.ui.models.pieces import NOTHING, button

Json = dict[str, Any]
_EMPTY: Final = Markup(
    '<p class="quiet">No shadow answers are kept yet. A table in <code>ggufrun.toml</code> has a share of a route\'s '
    "answers answered again by another engine, behind the users' backs and at no cost of time to them:</p>"
    '<pre>[routes."NAME".shadow]\nengine = "ANOTHER"\nshare = 0.1</pre>'
    '<p class="quiet">Both texts then stay on this machine, where only who may manage sees them, until they are '
    "forgotten here or by <code>ggufrun shadow clear</code>.</p>"
)
_RUNS: Final = Markup(
    '<li data-route="{}"><b>{}</b>: <b>{}</b> answers {} of it, too. {} kept since the server started{}.</li>'
)
_SURE: Final = "Forget all shadow answers? They are kept nowhere else."
_HEADS: Final = (
    ("Agree", "The same text, JSON or tool calls; with the 95 % interval."),
    ("Similar", "Of those that differ: difflib's ratio of their words, median. 1 is the same."),
    ("TTFT", "Median, of the real one and of the shadow; the shadow's is without waiting and loading."),
    ("Answer", "Median until its end, of the real one and of the shadow."),
    ("Tokens", "Of all answers, of the real one and of the shadow."),
    ("Charged", "In USD, of the real one and of the shadow."),
    ("Saved", "In USD, had the shadow's engine answered instead."),
)


def as_summary(found: Json) -> Markup:
    """GET /ggufrun/v1/shadow."""
    runs = Markup("").join(map(_running, found["running"]))
    running = Markup('<ul class="running">{}</ul>').format(runs) if runs else NOTHING
    if not found["data"]:
        return running or _EMPTY
    acts = button("Look again", "again") + button("Forget all", "forget", sure=_SURE)
    return Markup('{}{}<p class="acts">{}</p>').format(running, _table(found["data"]), acts)


def _running(each: Json) -> Markup:
    left = {
        "waiting": "waiting",
        "failed": "of them failed",
        "dropped": "left out, as too many waited",
        "same": "were its own",
        "lost": "could not be written",
    }
    more = "".join(f", {each[name]:,} {words}" for name, words in left.items() if each[name])
    shares = (percent(each["share"]), f"{each['kept']:,}", more)
    return _RUNS.format(each["route"], each["route"], each["engine"], *shares)


def _table(pairs: Sequence[Json]) -> Markup:
    heads = Markup("").join(
        Markup('<th scope="col" class="number" title="{}">{}</th>').format(why, title) for title, why in _HEADS
    )
    lines = Markup("").join(map(_line, pairs))
    return Markup(
        '<div class="wide"><table class="engines"><thead><tr><th scope="col">Route, engine and shadow</th>{}<th></th>'
        "</tr></thead><tbody>{}</tbody></table></div>"
    ).format(heads, lines)


def _line(pair: Json) -> Markup:
    real, shadow = pair["real"], pair["shadow"]
    names = {"route": pair["route"], "real": real["engine"], "shadow": shadow["engine"]}
    cells = (
        _agreement(pair),
        "–" if pair["similarity"] is None else f"{pair['similarity']:.2f}",
        _both(pair, "ttft_s", _seconds),
        _both(pair, "total_s", _seconds),
        _both(pair, "completion_tokens", lambda value: f"{value:,}"),
        _both(pair, "spent_usd", lambda value: f"{value:.4f}"),
        f"{pair['saved_usd']:.4f}",
    )
    return Markup('<tr><th scope="row">{}<small>{} beside {}</small></th>{}<td class="acts">{}</td></tr>').format(
        *names.values(),
        Markup("").join(Markup('<td class="number">{}</td>').format(cell) for cell in cells),
        button("Show", "engines", label=f"Show the answers of {real['engine']} and {shadow['engine']}", **names),
    )


def _agreement(pair: Json) -> Markup:
    """How often, how sure that is, and what does not count."""
    if pair["share"] is None:
        return Markup("–<small>{} failed</small>").format(f"{pair['failed']:,}")
    counts = f"{pair['agreed']:,} of {pair['compared']:,}"
    more = f", {pair['failed']:,} failed" if pair["failed"] else ""
    sampled = f", {pair['sampled']:,} sampled" if pair["sampled"] else ""
    return Markup('{}<small>{} to {}</small><small title="{}">{}{}{}</small>').format(
        percent(pair["share"]),
        percent(pair["share_lo"]),
        percent(pair["share_hi"]),
        "Sampled: above temperature 0, where one engine would differ from itself, too.",
        counts,
        more,
        sampled,
    )


def _both(pair: Json, name: str, written: Callable[[Any], str]) -> Markup:
    return Markup("{}<small>{}</small>").format(*(written(pair[side][name]) for side in ("real", "shadow")))


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"
