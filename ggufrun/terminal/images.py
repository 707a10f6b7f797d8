"""Images of a terminal's messages: read from files that the user names, and as saved conversations hold them"""

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ggufrun.chat.picture_files import PEEK, format_of
from ggufrun.chat.types import ImageChunk, Message, TextChunk
from ggufrun.errors import OptionError
from ggufrun.figures import gb

LARGEST: Final = 64_000_000  # bytes of a file
_KINDS: Final = "PNG, JPEG, WebP and GIF files can be seen."
_DATA: Final = "data:;base64,"


def read_image(path: Path) -> ImageChunk:
    """Raises OptionError for what is no picture."""
    try:
        if path.is_fifo() or path.is_char_device():  # which may give nothing for ever
            raise OptionError(f"{path} is a pipe or a device.", "Save the image in a file first.")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror or error}.", "Check the image's name.") from error
    if format_of(data[:PEEK]) is None:
        raise OptionError(f"{path} is no image that is known.", _KINDS)
    if len(data) > LARGEST:
        raise OptionError(f"{path} is too large for an image.", f"Make it smaller than {gb(LARGEST)}.")
    return ImageChunk(data=data, at=str(path))


def named(image: ImageChunk) -> str:
    return f"{Path(image.at).name} ({gb(len(image.data))})"


def user_message(text: str, images: Sequence[ImageChunk]) -> Message:
    """Images come first: models read the question last."""
    parts = (*images, *((TextChunk(text=text),) if text else ()))
    return Message(role="user", content=parts if images else text)


def text_of(message: Message) -> str:
    content = message.content
    if isinstance(content, tuple):
        return "\n".join(part.text for part in content if isinstance(part, TextChunk))
    return content or ""


def images_of(message: Message) -> tuple[ImageChunk, ...]:
    parts = message.content if isinstance(message.content, tuple) else ()
    return tuple(part for part in parts if isinstance(part, ImageChunk))


def to_json(message: Message) -> dict[str, Any]:
    """As the API takes it, with the images themselves."""
    written = message.model_dump(exclude_defaults=True)
    if images := images_of(message):
        parts = [{"type": "image_url", "image_url": _DATA + base64.b64encode(each.data).decode()} for each in images]
        text = text_of(message)
        written["content"] = [*parts, *([{"type": "text", "text": text}] if text else [])]
    return written


def from_json(written: object) -> object:
    """What `to_json` wrote, for a `Message`. Raises ValueError for an image that is none."""
    if not isinstance(written, dict) or not isinstance(written.get("content"), list):
        return written
    return {**written, "content": tuple(_part(part) for part in written["content"])}


def _part(part: object) -> object:
    url = part.get("image_url") if isinstance(part, dict) else None
    if url is None:
        return part
    head, comma, body = str(url).partition(";base64,")
    try:
        data = base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise ValueError("an image's base64 is broken") from error
    if not comma or not head.startswith("data:") or format_of(data[:PEEK]) is None:
        raise ValueError("an image is no data: URL of a picture")
    return ImageChunk(data=data, at="image")
