"""What is shown below the model's name: its state, size, context and fit, as HTML. No widgets."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from markupsafe import Markup

from ggufrun.figures import gib

FITS: Final = {"fits": "fits", "offload": "partly in RAM", "too large": "too large"}
_SAID: Final = {
    "ready": "loaded",
    "waiting": "waits for a place",
    "loading": "loading",
    "unloading": "being unloaded",
    "unloaded": "not loaded",
    "failed": "could not be loaded",
}
MOVING: Final = ("waiting", "loading", "unloading")


def state_html(state: Mapping[str, Any] | None, card: Mapping[str, Any], fit: str = "") -> Markup:
    """`state`: as /ggufrun/v1/models has it, None where it cannot be seen; `card`: as /v1/models has it."""
    if not state and not card:
        return Markup("<p>not served</p>")
    lines = [Markup('<p class="facts">{}</p>').format(Markup(" \N{MIDDLE DOT} ").join(_facts(state, card, fit)))]
    if state and state["state"] == "loading":
        done = round(100 * float(state["progress"]))
        lines.append(Markup('<progress max="100" value="{0}" aria-label="Loading">{0} %</progress>').format(done))
    if state and state["error"]:
        lines.append(Markup('<p class="bad" role="alert">{}</p>').format(state["error"]))
    if state and state["note"]:
        lines.append(Markup('<p class="note">{}</p>').format(state["note"]))
    return Markup("").join(lines)


def _facts(state: Mapping[str, Any] | None, card: Mapping[str, Any], fit: str) -> Iterator[Markup]:
    shown = Markup("<span>{}</span>")
    if state:
        yield _said(str(state["state"]), float(state["progress"]))
        yield from (shown.format(fact) for fact in (state["quant"], _memory(state)) if fact)
    if context := (state or {}).get("context") or card.get("max_context_length"):
        yield Markup('<span title="tokens">context {}</span>').format(f"{context:,}")
    if fit and not (fit == "too large" and state and state["state"] == "ready"):  # it takes the memory itself
        yield Markup('<span class="fit {}">{}</span>').format(fit.replace(" ", "-"), FITS.get(fit, fit))
    able = card.get("capabilities") or {}
    names = {"vision": "sees images", **({} if state else {"reasoning": "reasons", "function_calling": "calls tools"})}
    yield from (shown.format(word) for name, word in names.items() if able.get(name))


def _said(state: str, progress: float) -> Markup:
    words = _SAID.get(state, state) + (f" {progress:.0%}" if state == "loading" else "")
    return Markup('<span class="state {}">{}</span>').format(state, words)


def _memory(state: Mapping[str, Any]) -> str:
    return gib(int(state["memory_bytes"] or state["needs_bytes"] or 0)) if state["needs_bytes"] else ""
