"""The text of a file that is one, whatever it is called: UTF-8, UTF-16 with its mark, else Windows' Latin-1."""

import codecs
import re
from typing import Final

from ggufrun.errors import OptionError
from ggufrun.figures import gb

LARGEST: Final = 8_000_000  # bytes: more than any context holds
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROLS: Final = re.compile("[\x00-\x06\x0e-\x1a\x1c-\x1f]")  # those that no text has; logs have ESC and backspace


def text_of(name: str, data: bytes) -> str:
    """With "\\n" for line ends. Raises OptionError for what is no text."""
    if len(data) > LARGEST:
        hint = "Take the part of it that your question is about."
        raise OptionError(f"{name} has {gb(len(data))} of text, more than any model reads at once.", hint)
    text = _decoded(data)
    if text is None or _CONTROLS.search(text):
        hint = "Text of any kind, PDF, and PNG, JPEG, WebP or GIF images can be attached."
        raise OptionError(f"{name} is neither text, PDF nor an image that models read.", hint)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise OptionError(f"{name} is empty.", "Take it out, or choose another file.")
    return text


def _decoded(data: bytes) -> str | None:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding)
            except UnicodeDecodeError:
                return None
    for encoding in ("utf-8", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            pass
    return data.decode("latin-1")
