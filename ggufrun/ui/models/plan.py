"""A memory plan as HTML: what it comes to, the bars of its devices, why it is so, and how it is served."""

import shlex
from typing import Any

from markupsafe import Markup

from ggufrun.figures import billions, gib, speed
from ggufrun.ui.models.bars import as_bars
from ggufrun.ui.models.pieces import NOTHING, sentences, verdict_badge

Json = dict[str, Any]


def as_plan(plan: Json, spec: str) -> Markup:
    """`spec`: what it was asked for by."""
    return Markup("<h4>Memory plan of {} {}</h4>{}<p class=facts>{}</p>{}{}{}{}{}").format(
        plan["model"],
        verdict_badge(plan["verdict"]),
        Markup("<p class=notes>{}</p>").format(plan["note"]) if plan["note"] else NOTHING,
        in_short(plan),
        as_bars(plan),
        sentences(plan["why"], "why"),
        _gains(plan),
        _smaller(plan),
        _command(plan, spec),
    )


def in_short(plan: Json) -> str:
    """Its figures in a line."""
    said = [f"{plan['context']:,} tokens of context", f"KV cache in {plan['kv_type']}"]
    said.append(f"{plan['gpu_layers']} of {plan['layers']} layers on a GPU" if plan["gpu_layers"] else "all in RAM")
    if plan.get("predicted_tok_s") is not None:
        said.append(f"at most {speed(plan['predicted_tok_s'])} tokens/s ({plan.get('predicted_known') or 'estimated'})")
    missing = f" {gib(plan['missing_bytes'])} are missing." if plan.get("missing_bytes") else ""
    return ", ".join(said) + "." + missing


def _gains(plan: Json) -> Markup:
    found = [f"{gain['knob']}: {gain['effect']}" for gain in plan.get("gains") or ()]
    return Markup("<p>What would change it:</p>{}").format(sentences(found, "gains")) if found else NOTHING


def _smaller(plan: Json) -> Markup:
    """A model that is wholly in the fastest memory, where this one is not."""
    found = plan.get("smaller")
    if not found:
        return NOTHING
    at_most = f", at most {speed(found['predicted_tok_s'])} tokens/s" if found["predicted_tok_s"] is not None else ""
    said = f"{' or '.join(found['models'])} in {found['quant']}, {found['context']:,} tokens of context{at_most}."
    return Markup("<p class=notes>Wholly in the fastest memory (estimated): {}</p>").format(said)


def _command(plan: Json, spec: str) -> Markup:
    line = f"ggufrun serve {shlex.quote(spec)} {plan.get('options') or ''}".strip()
    return Markup('<p class="command"><code>{}</code><button type="button" data-copy="{}">Copy</button></p>').format(
        line, line
    )


def as_package(card: Json) -> Markup:
    """A card that comes as a Python package, which nothing is pulled for."""
    facts = f"{card['description']}, {billions(card['parameters'])} parameters, licence {card['licence']}."
    return Markup(
        '<h4>{}</h4><p class="facts">{}</p><p class="command"><span>It comes as a Python package:</span> '
        "<code>{}</code>"
        '<button type="button" data-copy="{}">Copy</button></p>'
    ).format(card["name"], facts, card["install"], card["install"])
