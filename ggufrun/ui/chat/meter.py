"""The line below the chat: how far an answer is, and what the last one has used.

How full the context is once it has ended says the line below the box (`ask/meter.py`), which counts what comes next.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from ggufrun.figures import speed
from ggufrun.ui.chat.conversation import Conversation, Said
from ggufrun.ui.chat.live import Progress

_PART = Markup('<span title="{}">{}</span>')


def waiting() -> str:
    return _line([("The model is loaded first if it has to be", "waiting for the model")])


def running(progress: Progress) -> str:
    if not progress.tokens:
        if not progress.prompt_of:
            return waiting()
        read = f"prompt {progress.prompt:,} / {progress.prompt_of:,} tokens"
        return _line([("How much of what is asked the model has read", read)])
    parts = [("Of this answer, so far", f"{progress.tokens:,} tokens")]
    if progress.tokens > 1 and progress.ms:
        parts.append(("Since its first token", f"{speed(1e3 * (progress.tokens - 1) / progress.ms)} tokens/s"))
    if progress.context:
        parts.append(_context(progress.prompt_of + progress.tokens, progress.context))
    return _line(parts)


def finished(conversation: Conversation) -> str:
    """Of the last answer on the branch; nothing where there is none, or nothing is known of it."""
    last = next((each for each in reversed(conversation.branch) if each.role == "assistant"), None)
    return "" if last is None else _line(_used(last))


def _used(answer: Said) -> Iterator[tuple[str, str]]:
    """An import may bring anything, so that what is no number is left out."""
    usage, timings = _mapping(answer.meta.get("usage")), _mapping(answer.meta.get("timings"))
    if tokens := _number(usage, "completion_tokens"):
        yield "Of the last answer", f"{tokens:,.0f} tokens"
    if rate := _number(timings, "tokens_per_second"):
        yield "Token generation", f"{speed(rate)} tokens/s"
    if ttft := _number(timings, "ttft_ms"):
        yield "Time to first token", f"first after {ttft / 1e3:.2f} s"
    if cached := _number(timings, "cached_tokens"):
        yield "Tokens of the prompt that were not computed again", f"{cached:,.0f} cached"
    if (cost := _number(usage, "cost_usd")) is not None:
        yield "What the last answer would have cost on the hosted API", f"${cost:.6f} hosted"
    routed = _mapping(answer.meta.get("ggufrun"))
    if isinstance(engine := routed.get("engine"), str) and isinstance(why := routed.get("why"), str) and engine:
        yield f"Why this engine of the route has answered: {why[:300]}", f"by {engine[:100]}"


def _context(used: int, context: int) -> tuple[str, str]:
    return "Tokens of the context that are used", f"{used:,} of {context:,} context ({100 * used / context:.0f} %)"


def _line(parts: Any) -> str:
    return Markup('<span class="dot"> · </span>').join(_PART.format(title, text) for title, text in parts)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    return value if isinstance(value, int | float) and 0 <= value < 1e15 else None
