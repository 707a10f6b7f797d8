"""The first place where two texts differ, shown so that spaces and line ends can be told apart."""

from typing import Final

_BEFORE, _AFTER = 40, 40  # characters shown around the place
_CUT: Final = "…"


def first_difference(left_name: str, left: str, right_name: str, right: str) -> tuple[str, ...]:
    """Three lines: both texts around the place, and a mark below it. None where the texts are the same."""
    if left == right:
        return ()
    at = next((at for at, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    width = max(len(left_name), len(right_name)) + 2
    start = max(0, at - _BEFORE)
    lead = (_CUT if start else "") + _visible(left[start:at])
    lines = [
        f"{name}:".ljust(width) + lead + (_visible(text[at : at + _AFTER]) or "(it ends here)") + (_CUT if more else "")
        for name, text, more in (
            (left_name, left, len(left) > at + _AFTER),
            (right_name, right, len(right) > at + _AFTER),
        )
    ]
    return (*lines, " " * (width + len(lead)) + "^")


def _visible(text: str) -> str:
    """Line ends, tabs and what cannot be printed are written as escapes."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
