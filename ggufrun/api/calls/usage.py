"""The parts of an answer's JSON that every endpoint shares: token counts, timings, logprobs."""

from typing import Any

from ggufrun.chat.types import Completed, Logprob, Meter, Price

Json = dict[str, Any]


def usage(done: Completed, price: Price | None = None) -> Json:
    """Token counts; `prompt_tokens_details.cached_tokens` are those that were not computed again.

    With `price`, `cost_usd` says what the hosted model would have cost.
    """
    return usage_of(done.prompt_tokens, done.completion_tokens, cached_tokens(done), price)


def usage_of(prompt: int, completion: int, cached: int, price: Price | None = None) -> Json:
    counts: Json = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    return counts | ({"cost_usd": price.usd(prompt, completion)} if price else {})


def routed(meter: Meter) -> Json:
    """Which engine answers, and why, where a route has chosen it; else nothing."""
    return {"ggufrun": {"engine": meter.engine, "why": meter.why}} if meter.why else {}


def cached_tokens(done: Completed) -> int:
    """Tokens of the prompt that were not computed again; choices share one prompt."""
    return max((stats.cached_tokens for stats in done.stats), default=0)


def tokens_per_second(done: Completed) -> float:
    seconds = max((stats.generation_s for stats in done.stats), default=0.0)
    return done.completion_tokens / seconds if seconds > 0 else 0.0


def timings(done: Completed) -> Json:
    """Counters summed over the choices; times in milliseconds."""
    names = ("cached", "restored", "forced", "drafted", "accepted")
    counts = {f"{name}_tokens": sum(getattr(stats, f"{name}_tokens") for stats in done.stats) for name in names}
    counts["model_steps"] = sum(stats.model_steps for stats in done.stats)
    counts["preemptions"] = sum(stats.preemptions for stats in done.stats)
    return counts | {
        "queue_ms": round(1e3 * max((stats.queue_s for stats in done.stats), default=0.0), 3),
        "prompt_ms": round(1e3 * max((stats.prompt_s for stats in done.stats), default=0.0), 3),
        "ttft_ms": round(1e3 * done.ttft_s, 3),
        "total_ms": round(1e3 * done.total_s, 3),
        "tokens_per_second": round(tokens_per_second(done), 2),
        "context": done.context,
        "context_used": done.context_used,
    }


def logprobs(entries: tuple[Logprob, ...]) -> Json:
    """What both dialects read: `bytes` is always a list, `token_id` is Mistral's, `refusal` OpenAI's."""
    content = [_logprob(entry) | {"top_logprobs": [_logprob(t) for t in entry.top]} for entry in entries]
    return {"content": content, "refusal": None}


def _logprob(entry: Logprob) -> Json:
    shown = {"token": entry.token, "token_id": entry.token_id, "logprob": entry.logprob, "bytes": list(entry.raw)}
    return shown | {"forced": True} if entry.forced else shown
