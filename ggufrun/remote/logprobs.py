"""Log-probabilities of a remote's tokens, in the shapes that chat and raw text have them."""

from math import isfinite
from typing import Any, Final

from ggufrun.chat.types import Logprob

_LEAST: Final = -9999.0  # as other engines write it
UNKNOWN: Final = -1  # the id of a token that the remote does not number


def entries_of(logprobs: Any, top: int | None) -> tuple[Logprob, ...]:
    """`top`: so many beside the chosen token are kept; None: none were asked for."""
    if top is None:
        return ()
    if (content := logprobs.get("content")) is not None:
        return tuple(_entry(each, top) for each in content)
    tokens = logprobs.get("tokens") or ()
    beside = logprobs.get("top_logprobs") or [None] * len(tokens)
    return tuple(
        _made(token, logprob, tuple(_made(other, number) for other, number in (others or {}).items())[:top])
        for token, logprob, others in zip(tokens, logprobs["token_logprobs"], beside, strict=True)
        if logprob is not None
    )


def _entry(entry: Any, top: int) -> Logprob:
    raw = entry.get("bytes")
    token = entry["token"]
    number = entry.get("token_id", entry.get("id"))
    return Logprob(
        token,
        UNKNOWN if number is None else int(number),
        token.encode("utf-8", "surrogatepass") if raw is None else bytes(raw),
        _number(entry["logprob"]),
        tuple(_entry(other, 0) for other in (entry.get("top_logprobs") or ())[:top]),
        forced=bool(entry.get("forced")),
    )


def _made(token: str, logprob: float, top: tuple[Logprob, ...] = ()) -> Logprob:
    return Logprob(token, UNKNOWN, token.encode("utf-8", "surrogatepass"), _number(logprob), top)


def _number(logprob: Any) -> float:
    """JSON has no infinity."""
    number = float(logprob)
    return number if isfinite(number) else _LEAST
