"""Whether two answers agree: the same text, JSON or tool calls. Otherwise, how similar they are in their words."""

import json
import re
from difflib import SequenceMatcher
from typing import Any, Final

from ggufrun.records.shadows import Agreement, ShadowAnswer

MOST_WORDS: Final = 1000  # of each answer; what comes behind them does not count for the similarity
_WORD: Final = re.compile(r"\w+|[^\w\s]")
_NOT_JSON: Final = object()


def agreement(real: ShadowAnswer, shadow: ShadowAnswer) -> tuple[Agreement, float]:
    """How they agree, and the similarity from 0 to 1. Takes a moment for long answers: not for the event loop.

    Where either calls tools, the calls decide, in their order; their ids do not count.
    """
    if shadow.error:
        return "failed", 0.0
    if real.tool_calls or shadow.tool_calls:
        if _same_calls(real, shadow):
            return "tools", 1.0
    elif _normal(real.text) == _normal(shadow.text):
        return "text", 1.0
    elif _same_json(real.text, shadow.text):
        return "json", 1.0
    return "different", similarity(_words(real), _words(shadow))


def similarity(before: list[str], after: list[str]) -> float:
    """difflib's ratio over the words: of those of both, the share that is in both in one order."""
    return SequenceMatcher(None, before[:MOST_WORDS], after[:MOST_WORDS], autojunk=False).ratio()


def _same_calls(real: ShadowAnswer, shadow: ShadowAnswer) -> bool:
    if [name for name, _ in real.tool_calls] != [name for name, _ in shadow.tool_calls]:
        return False
    pairs = zip(real.tool_calls, shadow.tool_calls, strict=True)
    return all(_normal(ours) == _normal(theirs) or _same_json(ours, theirs) for (_, ours), (_, theirs) in pairs)


def _normal(text: str) -> str:
    return " ".join(text.split())


def _same_json(before: str, after: str) -> bool:
    ours = _parsed(before)
    try:
        return ours is not _NOT_JSON and _equal(ours, _parsed(after))
    except RecursionError:
        return False


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _equal(one: Any, other: Any) -> bool:
    """As JSON has it: 1 is 1.0, and neither is true, which Python thinks."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _words(answer: ShadowAnswer) -> list[str]:
    parts = [answer.text, *(part for call in answer.tool_calls for part in call)]
    return _WORD.findall(" ".join(parts))
