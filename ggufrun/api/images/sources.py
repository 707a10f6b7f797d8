"""Where a request has its pictures, in every API's spelling: all of them are URLs here, those of `data:` too."""

import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ggufrun.chat.types import LinkedImage, TextChunk
from ggufrun.errors import OutOfRange, Unsupported, cut

_PIECE: Final = 200_000  # characters that are read at once: meanwhile no other thread runs
_SPACE: Final = b" \t\r\n"
_PLAIN: Final = bytes.maketrans(b"-_", b"+/")
_ESCAPED: Final = {b"%2B": b"+", b"%2F": b"/", b"%3D": b"=", b"%20": b"", b"%0D": b"", b"%0A": b""}
_EXAMPLE: Final = "Send it as https://… or data:image/png;base64,…"


def from_url(image_url: str | Mapping[str, Any] | None, at: str) -> LinkedImage:
    """Of OpenAI's and Mistral's `image_url`, which is a string or an object with one."""
    url = image_url.get("url") if isinstance(image_url, Mapping) else image_url
    if not isinstance(url, str) or not url:
        raise OutOfRange("An image has no URL.", _EXAMPLE, at)
    return LinkedImage(url=url, at=at)


def from_source(source: Mapping[str, Any] | None, at: str) -> LinkedImage:
    """Of Anthropic's `source`."""
    source = source or {}
    kind = source.get("type")
    if kind == "url":
        return from_url(source.get("url"), at)
    if kind == "base64" and isinstance(data := source.get("data"), str):
        return LinkedImage(url=f"data:;base64,{data}", at=at)
    if kind == "file":
        raise Unsupported("Files are not kept here.", "Send the image itself, in base64.", at)
    raise OutOfRange("An image has no source that is known.", 'Use "base64" with data, or "url" with url.', at)


def result_of(parts: Sequence[TextChunk | LinkedImage], said: str = "") -> str | tuple[TextChunk | LinkedImage, ...]:
    """A tool's result: one text of several, or with images in it its parts. `said` comes before it."""
    texts = [part.text for part in parts if isinstance(part, TextChunk)]
    if len(texts) == len(parts):
        return said + "\n".join(texts)
    return (TextChunk(text=said), *parts) if said else tuple(parts)


def is_data(url: str) -> bool:
    return url[:5].lower() == "data:"


def data_of(url: str) -> bytes:
    """The bytes in a `data:` URL; what it says of their kind is left unread. Raises OutOfRange, without `param`."""
    head, comma, body = url[5:].partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise OutOfRange(f"{cut(url, 60)!r} is no data: URL in base64.", _EXAMPLE)
    try:
        raw = body.encode("ascii")
        if b"%" in raw:
            for escaped, meant in _ESCAPED.items():
                raw = raw.replace(escaped, meant).replace(escaped.lower(), meant)
        return b"".join(_pieces(raw.rstrip(b"=" + _SPACE)))
    except (UnicodeError, binascii.Error) as error:
        raise OutOfRange("An image's base64 is broken.", "Send it whole.") from error


def _pieces(raw: bytes) -> Iterator[bytes]:
    """Base64 without its padding, read piece by piece. Raises binascii.Error."""
    if b"=" in raw:
        raise binascii.Error
    rest = b""
    for start in range(0, len(raw), _PIECE):
        rest += raw[start : start + _PIECE].translate(_PLAIN, delete=_SPACE)
        whole = len(rest) - len(rest) % 4
        yield binascii.a2b_base64(rest[:whole], strict_mode=True)
        rest = rest[whole:]
    yield binascii.a2b_base64(rest + b"=" * (-len(rest) % 4), strict_mode=True)
