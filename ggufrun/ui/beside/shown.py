"""A contender as HTML: what it does, its figures, and its answer with the differences marked. All of it is escaped."""

from typing import Final

from markupsafe import Markup

from ggufrun.figures import gib, speed
from ggufrun.ui.beside.contender import Contender, Stage
from ggufrun.ui.beside.diff import Difference

_DOES: Final[dict[Stage, str]] = {
    "waiting": "Waits for its turn",
    "loading": "Is loaded",
    "asked": "Reads the prompt",
    "thinking": "Thinks",
    "answering": "Answers",
    "done": "Done",
    "stopped": "Stopped",
    "failed": "Failed",
}
_ENDS: Final = {
    "stop": "ended by itself",
    "length": "cut at the longest allowed",
    "model_length": "cut where the context is full",
    "tool_calls": "called a tool",
    "error": "broke off",
}
_FIGURE: Final = Markup('<div title="{}"><b>{}</b> {}</div> ')
_SIMILAR: Final = "Of the words of both answers, the share that is in both in the same order."
WAITS: Final = Markup('<p class="quiet">Differences are marked when all have ended.</p>')
NOTHING: Final = Markup('<p class="quiet">There are no two answers to compare.</p>')


def stage(contender: Contender) -> Markup:
    """One line above the answer."""
    does = _DOES[contender.stage]
    if contender.stage == "loading":
        does += f": {contender.progress:.0%}"
    if contender.stage == "failed":
        return Markup('<div class="stage failed" role="alert">{}: {}</div>').format(does, contender.error)
    return Markup('<div class="stage {}">{}</div>').format(contender.stage, does)


def figures(contender: Contender) -> Markup:
    """What was measured; "" before there is anything."""
    pairs = measured(contender)
    shown = Markup("").join(_FIGURE.format(title, value, unit) for value, unit, title in pairs)
    thought = Markup("")
    if contender.over and contender.thinking:
        thought = Markup("<details><summary>What it thought ({} characters)</summary><pre>{}</pre></details>").format(
            f"{len(contender.thinking):,}", contender.thinking
        )
    return Markup('<div class="figures">{}</div>{}').format(shown, thought) if shown or thought else Markup("")


def measured(contender: Contender) -> list[tuple[str, str, str]]:
    """Value, unit and what it means, in the order in which they are read."""
    usage, timings = contender.usage, contender.timings
    found: list[tuple[str, str, str]] = []
    if (rate := timings.get("tokens_per_second")) is not None:
        found.append((speed(rate), "tokens/s", "Token generation, without the prompt."))
    if (first_ms := timings.get("ttft_ms")) is not None:
        found.append((f"{first_ms / 1e3:.2f} s", "TTFT", "Time to the first token, prompt processing included."))
    if (written := usage.get("completion_tokens")) is not None:
        asked = f"{usage.get('prompt_tokens') or 0:,} of the prompt"
        found.append((f"{written:,}", "tokens", f"Of the answer; {asked}."))
    if contender.memory:
        found.append((gib(contender.memory), "memory", "About what weights and KV cache take."))
    if contender.load_s is not None:
        found.append((f"{contender.load_s:.1f} s", "to load", "Before it was asked; not in the TTFT."))
    if (cost := usage.get("cost_usd")) is not None:
        found.append((f"${cost:.6f}", "hosted", "What the hosted model would have cost."))
    if contender.finish:
        found.append((contender.finish, "finish reason", f"It {_ENDS.get(contender.finish, contender.finish)}."))
    return found


def compared(difference: Difference | None, text: str) -> Markup:
    """None: this is the answer that the others are compared with."""
    if difference is None:
        return Markup('<p class="quiet">The others are compared with this one.</p><div class="words">{}</div>').format(
            text.strip()
        )
    if difference.none:
        says = (
            "Word for word the same." if difference.cut is None else f"The same in the first {difference.cut:,} words."
        )
    else:
        says = f"{min(difference.similarity, 0.999):.1%} similar"
        says += f", in the first {difference.cut:,} words" if difference.cut is not None else ""
    return Markup('<p class="quiet" title="{}">{}</p><div class="words">{}</div>').format(
        _SIMILAR, says, difference.html()
    )
