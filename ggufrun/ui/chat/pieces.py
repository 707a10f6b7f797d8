"""A running answer's text in pieces: what is finished of it is drawn once, and only the last piece anew.

The pieces look as the whole does, so that a cut is made only between blocks that Markdown has no ties between. But a
reference in one piece does not find a link that is defined in a later one: when the answer ends, it is drawn whole.
"""

import re
from collections.abc import Iterator
from typing import Final

LEAST: Final = 400  # characters of a piece that is finished: the browser handles each on its own
# A list's item or a quotation may begin with it, or have it further in.
_FENCE: Final = re.compile(r"((?:[ \t>]|[-*+][ \t]|\d{1,9}[.)][ \t])*)(`{3,}(?!.*`)|~{3,})")
_END: Final = re.compile(r"([ \t>]*)(`{3,}|~{3,})[ \t]*$")
# What goes on with a list, a quotation or a table, or means something elsewhere in the text.
_TIED: Final = re.compile(r"\s|[>|<:\[]|[-*+](?=\s|$)|\d+(?=[.)]|$)")
_KNOWN: Final = 12  # characters of a line by which it is known what it is, while it comes


def pieces(text: str) -> list[str]:
    """Joined, they are the text. At least one."""
    found, begun = [], 0
    for at in _cuts(text):
        if at - begun >= LEAST and _is_whole(text[begun:at]):
            found.append(text[begun:at])
            begun = at
    return [*found, text[begun:]]


def _cuts(text: str) -> Iterator[int]:
    """Where a block begins after an empty line, outside of fenced code."""
    at, fence, was_empty = 0, None, False
    for line in text.split("\n"):
        if fence:
            if _ends(fence, line):
                fence = None
        else:
            is_known = len(line) >= _KNOWN or at + len(line) < len(text)
            if was_empty and line and is_known and not _TIED.match(line):
                yield at
            fence = _FENCE.match(line)
        was_empty = not line.strip()
        at += len(line) + 1


def _ends(fence: re.Match[str], line: str) -> bool:
    """Such code in it may have a fence of its own, further in."""
    found = _END.match(line)
    return found is not None and found[2].startswith(fence[2]) and len(found[1]) <= len(fence[1]) + 3


def _is_whole(piece: str) -> bool:
    """No formula goes on behind it. Where code only looks like one, the piece becomes longer."""
    return piece.count("$$") % 2 == 0 and piece.count("\\[") <= piece.count("\\]")
