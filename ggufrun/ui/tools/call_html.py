"""A tool call as a user sees it before it runs: its name, its arguments, what is wrong with them. All of it escaped."""

import json
from typing import Final

from markupsafe import Markup

from ggufrun.ui.tools.work import Call, Work

MOST: Final = 20_000  # characters
_WHOLE: Final = Markup(
    '<div class="call"><p class="head"><b>Tool call{count}</b> <code>{name}</code>{where}</p>'
    "<pre>{arguments}</pre>{notes}</div>"
)


def call_html(work: Work, server: str = "", *, doing: str = "") -> Markup:
    """`server`: the MCP server that it would run on. `doing`: what is under way."""
    call = work.call
    notes = [
        "Its arguments are no JSON object, so it cannot be run. Answer by hand, or refuse."
        if call.given() is None
        else "",
        "It is longer than what is shown here." if len(call.arguments) > MOST else "",
        doing or work.said,
    ]
    count = f" {work.at + 1} of {len(work.calls)}" if len(work.calls) > 1 else ""
    where = Markup(" on the MCP server <b>{}</b>. It runs when you say so.").format(server) if server else ""
    said = Markup("").join(Markup('<p role="status">{}</p>').format(note) for note in notes if note)
    return _WHOLE.format(
        count=count, name=call.name or "(without a name)", where=where, arguments=_pretty(call), notes=said
    )


def _pretty(call: Call) -> str:
    given = call.given()
    text = call.arguments if given is None else json.dumps(given, indent=2, ensure_ascii=False)
    return text[:MOST]
