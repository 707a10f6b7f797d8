"""Which files are pictures that can be seen: told by their first bytes, whatever they are called."""

from typing import Final

PEEK: Final = 12  # bytes that say it
_STARTS: Final = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF87a": "GIF", b"GIF89a": "GIF"}


def format_of(start: bytes) -> str | None:
    """Pillow's name of the format, None for what is none of them."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    return next((name for magic, name in _STARTS.items() if start.startswith(magic)), None)
