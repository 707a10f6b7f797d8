"""Why an engine does not answer, in a few words for a header, and which errors another engine may not have."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from ggufrun.errors import (
    CannotLoad,
    EngineBusy,
    EngineError,
    GgufrunError,
    InputTooLong,
    ModelLacks,
    ModelLoading,
    NotEnforceable,
    OverContext,
    PromptTooLong,
    TooManyAtOnce,
    UnknownModel,
    Unsupported,
)
from ggufrun.remote_errors import RemoteBroke, RemoteBusy, RemoteRefused, RemoteRejected

_LONGEST: Final = 300  # characters of a header's value
_ELSEWHERE: Final = (404, 413, 415, 501)  # refusals that are about the engine: no such model, too large, not there

# The first class that the error is an instance of decides.
_WORDS: Final[tuple[tuple[type[GgufrunError], str], ...]] = (
    (EngineBusy, "is overloaded"),
    (RemoteBusy, "is overloaded"),
    (ModelLoading, "is being loaded"),
    (CannotLoad, "cannot be loaded"),
    (UnknownModel, "is not served any more"),
    (RemoteRefused, "does not take this server's key"),
    (RemoteBroke, "broke off"),
    (EngineError, "is down"),
    (PromptTooLong, "has too small a context"),
    (InputTooLong, "has too small a context"),
    (OverContext, "has too small a context"),
    (TooManyAtOnce, "makes fewer answers at once"),
    (NotEnforceable, "cannot enforce the constraint"),
    (ModelLacks, "cannot do it"),
    (Unsupported, "cannot do it"),
)


def cannot(error: GgufrunError) -> str:
    """What the error says of its engine; "" where the request itself is wrong, so that no engine would take it."""
    if isinstance(error, RemoteRejected):
        return "refuses it" if error.status in _ELSEWHERE else ""
    return next((words for kind, words in _WORDS if isinstance(error, kind)), "")


def in_one_line(reasons: Sequence[tuple[str, str]]) -> str:
    """Kinds and words ("" for none) as one line of ASCII: a header takes no more.

    >>> in_one_line([("fallback", "a is down"), ("fallback", "b is overloaded"), ("escalated", "no JSON")])
    'fallback: a is down, b is overloaded; escalated: no JSON'
    """
    parts = []
    for kind, group in groupby(reasons, lambda each: each[0]):
        words = ", ".join(words for _, words in group if words)
        parts.append(f"{kind}: {words}" if words else kind)
    shown = (each if each.isascii() and each.isprintable() else "?" for each in " ".join("; ".join(parts).split()))
    line = "".join(shown)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."
