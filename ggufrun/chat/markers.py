"""Finding markers in text that comes in pieces: what is surely outside of any, and what may still become one."""

from collections.abc import Sequence


def scan(text: str, markers: Sequence[str]) -> tuple[int, str | None]:
    """Where the first marker begins, or may begin: `(clear, marker)`.

    The first `clear` characters belong to no marker. `marker` stands right behind them, or is None: then the rest,
    often nothing, is the beginning of a marker that the next piece may complete. The same text gives the same answer
    however it is cut, because a marker counts only when no earlier place can still turn into one.

    >>> scan("a <thi", ("<think>",))
    (2, None)
    """
    clear, found = len(text), None
    for marker in markers:
        at = text.find(marker)
        if at != -1 and at < clear:
            clear, found = at, marker
    for marker in markers:
        at = _beginning(text, marker, clear)
        if at < clear:
            clear, found = at, None
    return clear, found


def _beginning(text: str, marker: str, before: int) -> int:
    """The first place under `before` from where the rest of `text` is a proper beginning of `marker`, or `before`."""
    at = text.find(marker[0], max(0, len(text) - len(marker) + 1), before)
    while at != -1:
        if marker.startswith(text[at:]):
            return at
        at = text.find(marker[0], at + 1, before)
    return before
