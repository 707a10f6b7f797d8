"""The text of a PDF file, within limits of size, pages and time. No pictures, no reading of scans.

pypdf is imported with the first of them: it takes a tenth of a second, for which the page would wait.
"""

import logging
import time
from pathlib import Path
from typing import Any, Final

from ggufrun.errors import OptionError
from ggufrun.figures import gb

LARGEST: Final = 50_000_000  # bytes
MOST_PAGES: Final = 2_000
MOST_TEXT: Final = 8_000_000  # characters: more than any context holds
LONGEST_S: Final = 30.0
_log = logging.getLogger("pypdf")
_log.setLevel(logging.CRITICAL)  # what is odd about a user's file is nothing for the server's log


def pdf_text(name: str, path: Path, *, longest_s: float = LONGEST_S) -> str:
    """For a thread. Raises OptionError with what is wrong with it."""
    from pypdf.errors import PyPdfError

    if (size := path.stat().st_size) > LARGEST:
        raise OptionError(f"{name} has {gb(size)}, more than {gb(LARGEST)}.", _PART)
    try:
        text = "\n\n".join(_pages(name, path, time.monotonic() + longest_s)).strip()
    except OptionError:
        raise
    except Exception as error:  # a broken file can raise anything in there: KeyError, RecursionError, zlib's own
        wrong = f" ({error})" if isinstance(error, PyPdfError) else ""
        hint = "Open it in a PDF program, print it into a new file, and attach that."
        raise OptionError(f"{name} is broken and cannot be read as PDF{wrong}.", hint) from error
    if not text:
        hint = "Its pages are pictures, as of a scanner: run text recognition (OCR) on it first."
        raise OptionError(f"{name} has no text in it.", hint)
    return text


_PART: Final = "Make a file of the pages that your question is about."


def _pages(name: str, path: Path, end: float) -> list[str]:
    from pypdf import PasswordType, PdfReader

    def in_time(*_: Any) -> None:
        if time.monotonic() > end:
            raise OptionError(f"{name} takes too long to be read.", _PART)

    with PdfReader(path, strict=False) as reader:
        if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
            raise OptionError(f"{name} is locked with a password.", "Save a copy without one, and attach that.")
        if (pages := len(reader.pages)) > MOST_PAGES:
            raise OptionError(f"{name} has {pages:,} pages, more than {MOST_PAGES:,}.", _PART)
        texts, length = [], 0
        for page in reader.pages:
            in_time()
            texts.append(_clean(page.extract_text(visitor_operand_before=in_time)))
            length += len(texts[-1])
            if length > MOST_TEXT:
                raise OptionError(f"{name} has more text than any model reads at once.", _PART)
        return texts


def _clean(text: str) -> str:
    """Fonts without a table of characters come as halves of surrogate pairs, or as control characters."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", "")
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()
