"""The user's own files as a text: read, checked to be text, and named. One file is one part"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ggufrun.compare.texts.source import Part
from ggufrun.errors import OptionError
from ggufrun.figures import gb

_MOST: Final = 256 << 20  # bytes; the longest run reads a hundredth of it
_HINT: Final = "--text takes plain text in UTF-8."


def parts_of(paths: Sequence[Path]) -> tuple[Part, ...]:
    """Raises OptionError for what is no text."""
    texts = [_read(path) for path in paths]
    counts = Counter(path.name for path in paths)
    names = [path.name if counts[path.name] == 1 else str(path) for path in paths]
    if len(set(names)) < len(names):
        raise OptionError("--text names a file twice.", "Name each file once.")
    return tuple(map(Part, names, texts))


def _read(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > _MOST:
            raise OptionError(f"{path} has {gb(size)}, and a text {gb(_MOST)} at most.", "Give a part of it.")
        data = path.read_bytes()
    except OSError as error:
        raise OptionError(f"{path} cannot be read: {error.strerror or error}.", "Check the path.") from error
    if b"\0" in data:
        raise OptionError(f"{path} is binary, not text.", _HINT)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OptionError(f"{path} is not UTF-8 (byte {error.start:,}).", _HINT) from error
    if not text.strip():
        raise OptionError(f"{path} is empty.", _HINT)
    # As llama-perplexity reads a file: the newline at its end is the editor's.
    return text.removesuffix("\n")
