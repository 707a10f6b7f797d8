"""Tool calls of earlier turns, as clients and weak models wrote them, made acceptable: ids, names, arguments."""

import hashlib
import json
import re
from typing import Any

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALID_ID = re.compile(r"[a-zA-Z0-9]{9}")
_NO_ID = (None, "", "null")  # "null" is what Mistral's SDK writes for a missing id


class ToolIds:
    """Maps tool-call ids of any shape to nine alphanumerics; a call and its result get the same.

    Feed it one conversation in order. A valid id stays as it is, any other has one fixed image, so that a prompt does
    not change between turns; a missing or repeated one gets an id from its place in the conversation.
    """

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []  # (as written, as encoded) of calls that wait for a result
        self._turns = 0

    def next_turn(self) -> None:
        """An assistant message begins: results that follow belong to its calls."""
        self._open.clear()
        self._turns += 1

    def of_call(self, written: str) -> str:
        encoded = _nine(written) if written not in _NO_ID else ""
        if not encoded or any(encoded == taken for _, taken in self._open):
            encoded = _nine(f"turn {self._turns} call {len(self._open)}")
        self._open.append((written, encoded))
        return encoded

    def of_result(self, written: str | None) -> str:
        for place, (call, encoded) in enumerate(self._open):
            if written in _NO_ID or call == written:
                del self._open[place]
                return encoded
        if len(self._open) == 1:  # some clients make up an id; there is only one call that it can mean
            return self._open.pop()[1]
        return _nine(written or "")


def tool_name(written: str) -> str:
    """A function name within Mistral's rules (64 of a-z, A-Z, 0-9, _ and -)."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", written)[:64] or "function"


def tool_arguments(written: str | dict[str, Any]) -> Any:
    """The call's arguments as JSON data. What cannot be read is kept, as text under the key "arguments"."""
    if isinstance(written, dict):
        return written
    if not written.strip():
        return {}
    try:
        value = json.loads(written)
        if isinstance(value, str):  # encoded twice
            value = json.loads(value)
    except (ValueError, RecursionError):
        return {"arguments": written}
    return value if isinstance(value, dict) else {"arguments": value}


def _nine(written: str) -> str:
    if _VALID_ID.fullmatch(written):
        return written
    number = int.from_bytes(hashlib.sha256(written.encode("utf-8", "surrogatepass")).digest()[:8], "big")
    return "".join(_ALPHABET[number // 62**place % 62] for place in range(9))
