"""A repository's quants as HTML: how large, what fits, which one is the best and why, and the notes on it."""

from typing import Any, Final

from markupsafe import Markup

from ggufrun.figures import billions, gb, speed
from ggufrun.ui.models.pieces import NOTHING, badge, button, sentences, verdict_badge

Json = dict[str, Any]

_HEAD: Final = Markup(
    "<thead><tr><th scope=col>Quant</th><th scope=col class=number>Size</th><th scope=col class=number>Bits a weight"
    "</th><th scope=col>Fit</th><th scope=col class=number>Context</th><th scope=col class=number>Tokens/s, at most"
    "</th><th scope=col><span class=unseen>What to do</span></th></tr></thead>"
)


def spec_of(shown: Json, quant: str) -> str:
    return f"{shown['repo']}:{quant}"


def has(shown: Json, tag: str) -> bool:
    return tag.lower() in _names(shown)


def chosen_of(shown: Json, tag: str) -> str:
    """The quant to be planned first: the one that was asked for, else the best, else the smallest; "": none."""
    smallest = min(shown["quants"], key=lambda quant: int(quant["bytes"]), default=None)
    return _names(shown).get(tag.lower()) or shown["best"] or (str(smallest["name"]) if smallest else "")


def _names(shown: Json) -> dict[str, str]:
    return {str(quant["name"]).lower(): str(quant["name"]) for quant in shown["quants"]}


def as_quants(shown: Json, chosen: str) -> Markup:
    """`chosen`: the one whose plan is shown."""
    lines = Markup("").join(_line(quant, shown, chosen) for quant in shown["quants"])
    table = Markup('<div class="wide"><table>{}<tbody>{}</tbody></table></div>').format(_HEAD, lines)
    none = Markup('<p class="none">There is no GGUF file in it.</p>')
    return Markup("{}{}{}{}").format(
        _head(shown), _why(shown), sentences(shown["notes"], "notes"), table if shown["quants"] else none
    )


def _head(shown: Json) -> Markup:
    facts = [f"licence {shown['licence']}" if shown["licence"] else "licence not told"]
    facts += [f"{billions(shown['parameters'])} parameters"] if shown["parameters"] else []
    facts += [f"modified {str(shown['modified'])[:10]}"] if shown["modified"] else []
    facts += [f"card {shown['card']}"] if shown["card"] else []
    facts += [f"with a part that sees images ({gb(shown['mmproj'][0]['bytes'])})"] if shown["mmproj"] else []
    marks = [
        badge("gated", "middling", "Its owner must let you in, on its page.") if shown["gated"] else NOTHING,
        badge("private", "middling") if shown["private"] else NOTHING,
    ]
    return Markup('<h4>{} {}</h4><p class="facts">{}</p>').format(
        shown["repo"], Markup("").join(marks), ", ".join(facts)
    )


def _why(shown: Json) -> Markup:
    if not shown["best"]:
        return NOTHING
    return Markup('<p class="best">Best for this: <b>{}</b>, {}. {}</p>').format(
        shown["best"],
        shown["why"] or "",
        button("Pull the best", "pull", spec=spec_of(shown, shown["best"]), knobs="", label=f"Pull {shown['best']}"),
    )


def _line(quant: Json, shown: Json, chosen: str) -> Markup:
    name, spec = str(quant["name"]), spec_of(shown, str(quant["name"]))
    pick = Markup('<button type="button" data-act="plan" data-pick="" data-spec="{}" aria-pressed="{}">{}</button>')
    bits, context, at_most = quant["bits_per_weight"], quant["context"], quant.get("predicted_tok_s")
    return Markup(
        '<tr{}><th scope="row">{}{}</th><td class="number">{}</td><td class="number">{}</td><td>{}{}</td>'
        '<td class="number">{}</td><td class="number">{}</td><td class="acts">{}</td></tr>'
    ).format(
        Markup(' class="chosen"') if name == chosen else NOTHING,
        pick.format(spec, "true" if name == chosen else "false", name),
        badge("best", "good", shown["why"] or "") if name == shown["best"] else NOTHING,
        gb(quant["bytes"]),
        f"{bits:.2f}" if bits else "–",
        verdict_badge(quant["verdict"]),
        Markup(" <small>estimated</small>") if quant["exact"] is False else NOTHING,
        f"{context:,}" if context else "–",
        speed(at_most) if at_most is not None else "–",
        badge("here", "good") if quant["here"] else button("Pull", "pull", spec=spec, knobs="", label=f"Pull {name}"),
    )
