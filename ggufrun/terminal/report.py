"""What an answer cost: the dim line of the chat, and what `--json` prints. Times in seconds unless named _ms."""

from typing import Any

from ggufrun.chat.types import Completed
from ggufrun.terminal.answer import Answer

WARN_AT = 0.8  # of the context


def tokens_per_second(done: Completed) -> float:
    """Token generation alone: the first token belongs to prompt processing."""
    seconds = max((one.generation_s for one in done.stats), default=0.0)
    tokens = done.completion_tokens - len(done.stats)
    if seconds > 0 and tokens > 0:
        return tokens / seconds
    return done.completion_tokens / done.total_s if done.total_s > 0 else 0.0


def cached_tokens(done: Completed) -> int:
    return max((one.cached_tokens for one in done.stats), default=0)


def status_line(done: Completed) -> str:
    """Tokens, tokens/s, TTFT, context used of context, cached tokens."""
    noun = "token" if done.completion_tokens == 1 else "tokens"
    return (
        f"{done.completion_tokens} {noun} · {tokens_per_second(done):.1f} tok/s · TTFT {done.ttft_s:.2f} s · "
        f"context {done.context_used}/{done.context} · {cached_tokens(done)} cached"
    )


def context_warning(done: Completed) -> str:
    """A sentence once the conversation fills most of the context, else ""."""
    share = done.context_used / done.context if done.context else 0.0
    if share < WARN_AT:
        return ""
    return f"The conversation fills {share:.0%} of the context: /save FILE keeps it, /clear starts a new one."


def as_json(answer: Answer, model: str) -> dict[str, Any]:
    """The one object that `--json` prints."""
    result: dict[str, Any] = {"model": model, "text": answer.text}
    if answer.thinking:
        result["thinking"] = answer.thinking
    if answer.tool_calls:
        result["tool_calls"] = answer.calls()
    result["finish_reason"] = answer.reason
    if answer.completed is not None:
        result["usage"] = _usage(answer.completed)
        result["timings"] = _timings(answer.completed)
    return result


def _usage(done: Completed) -> dict[str, Any]:
    return {
        "prompt_tokens": done.prompt_tokens,
        "completion_tokens": done.completion_tokens,
        "total_tokens": done.prompt_tokens + done.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": cached_tokens(done)},
    }


def _timings(done: Completed) -> dict[str, Any]:
    counters = ("cached_tokens", "restored_tokens", "forced_tokens", "drafted_tokens", "accepted_tokens", "model_steps")
    return {
        "ttft_ms": round(1e3 * done.ttft_s, 3),
        "total_ms": round(1e3 * done.total_s, 3),
        "prompt_ms": round(1e3 * max((one.prompt_s for one in done.stats), default=0.0), 3),
        "generation_ms": round(1e3 * max((one.generation_s for one in done.stats), default=0.0), 3),
        "tokens_per_second": round(tokens_per_second(done), 2),
        "context_used": done.context_used,
        "context": done.context,
        **{name: sum(getattr(one, name) for one in done.stats) for name in counters},
    }
