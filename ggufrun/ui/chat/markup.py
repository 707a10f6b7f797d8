"""What was said, made harmless as Markdown: no tag of it becomes HTML, and no picture of it is loaded.

An unseen character behind `<` and `!` does it, so that what was written is still read, copied and edited as it was.
Code and formulas stay as they are. What this overlooks, the component's own sanitizing and the page's headers stop.
"""

import re
from functools import lru_cache
from typing import Final

_JOINER: Final = "\u2060"
_CODE: Final = (  # a fence may be without its end: it is to come
    r"^ {0,3}(?P<fence>`{3,}|~{3,})[^\n]*(?:\n[\s\S]*?(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)|\Z)"
    r"|(?<!`)(?P<tick>`{1,8})(?!`)[^\n]{1,2000}?(?<!`)(?P=tick)(?!`)"
    # A formula has no beginning of another one in it: no text is looked at twice for one that does not end.
    r"|\$\$[^$]{1,4000}\$\$|\\\[(?:(?!\\\[)[\s\S]){1,4000}?\\\]|\\\((?:(?!\\\()[^\n]){1,1000}?\\\)"
)
_LIVE: Final = re.compile(rf"(?P<kept>{_CODE})|<(?=[A-Za-z/!?])|!(?=\[)", re.MULTILINE)
_TICKS: Final = re.compile("`+")


@lru_cache(maxsize=16)  # what an answer has thought is shown with each of its words
def tame(text: str) -> str:
    """To be shown as Markdown."""
    if "<" not in text and "![" not in text:
        return text
    return _LIVE.sub(lambda found: found[0] if found["kept"] is not None else found[0] + _JOINER, text)


def wild(text: str) -> str:
    """What `tame` was given, after a user has changed what it returned."""
    return text.replace(f"<{_JOINER}", "<").replace(f"!{_JOINER}", "!")


def fenced(text: str, language: str = "") -> str:
    """A block of code that ends where it ends, whatever is in it."""
    fence = "`" * max(3, 1 + max(map(len, _TICKS.findall(text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def inline(text: str) -> str:
    """A name as code within a line."""
    line = " ".join(text.split())[:200] or "?"
    ticks = "`" * (1 + max(map(len, _TICKS.findall(line)), default=0))
    space = " " if "`" in line else ""
    return f"{ticks}{space}{line}{space}{ticks}"
