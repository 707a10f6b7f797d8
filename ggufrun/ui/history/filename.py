"""A chat's title as the name of a file, on any system."""

import re
import unicodedata
from typing import Final

_LONGEST: Final = 80
_NOT_IN_NAMES: Final = re.compile(r'[<>:"/\\|?*]')
_OF_DEVICES: Final = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # Windows opens those instead


def file_name(title: str, ending: str) -> str:
    """`a/b: c` and md: `a-b- c.md`. Control and direction characters could show another name than it has."""
    seen = "".join(" " if unicodedata.category(each)[0] == "C" else each for each in title)
    name = " ".join(_NOT_IN_NAMES.sub("-", seen).split())[:_LONGEST].strip(" .")
    if not name or _OF_DEVICES.match(name):
        name = f"chat {name}".strip()
    return f"{name}.{ending}"
