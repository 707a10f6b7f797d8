"""Files beside a question: their text as a part of the message, and how such a part is known again.

    [file: notes.txt]
    its text
    [end of file]

A text that has the last line in it is numbered, `[file 2: notes.txt]` to `[end of file 2]`: it ends where it ends.
"""

import re
from itertools import chain, count
from typing import Any, Final

LONGEST_NAME: Final = 200
_HEAD: Final = re.compile(r"\[file(?: (?P<number>[1-9]\d{0,8}))?: (?P<name>[^\n]*)\]")
_UNSEEN: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")


def as_part(name: str, text: str) -> dict[str, Any]:
    """A part of a message's content."""
    numbers = chain([""], map(str, count(2)))
    number = next(each for each in numbers if _end(each) not in text)
    return {"type": "text", "text": f"[file{number and f' {number}'}: {clean(name)}]\n{text}\n{_end(number)}"}


def from_part(part: dict[str, Any]) -> tuple[str, str] | None:
    """Name and text of the file that a part is; None for what the user has written."""
    head, _, rest = str(part.get("text", "")).partition("\n")
    if (found := _HEAD.fullmatch(head)) is None:
        return None
    end = f"\n{_end(found['number'] or '')}"
    return (found["name"], rest.removesuffix(end)) if rest.endswith(end) else None


def clean(name: str) -> str:
    """On one line, and without what would hide or turn around a part of it."""
    return _UNSEEN.sub(" ", name).strip()[:LONGEST_NAME] or "file"


def _end(number: str) -> str:
    return f"[end of file{number and f' {number}'}]"
