"""Pictures in messages: those that lie in the message itself. What is elsewhere is never fetched."""

import asyncio
import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from ggufrun.ui.ask.pictures import format_of
from ggufrun.ui.chat.conversation import Said

_DATA: Final = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)

Place = tuple[str, int]  # a message's id, and which of its parts


class Pictures:
    """Where those of one chat lie: each is decoded and written once, in a thread."""

    def __init__(self) -> None:
        self._chat = ""
        self._paths: dict[Place, str | None] = {}

    async def make(self, chat: str, branch: Iterable[Said]) -> None:
        """Those that are not there; Gradio removes old ones."""
        known = self._paths if chat == self._chat else {}
        parts = dict(_pictures(branch))
        if parts:
            known = await asyncio.to_thread(_made, parts, known)
        self._chat, self._paths = chat, known

    def path(self, message: Said, at: int, part: Mapping[str, Any]) -> str | None:
        place = (message.id, at)
        return self._paths[place] if place in self._paths else picture_file(part)


def _made(parts: Mapping[Place, Mapping[str, Any]], known: Mapping[Place, str | None]) -> dict[Place, str | None]:
    there = {place: path for place, path in known.items() if path is None or Path(path).is_file()}
    return {**there, **{place: picture_file(part) for place, part in parts.items() if place not in there}}


def _pictures(branch: Iterable[Said]) -> Iterable[tuple[Place, Mapping[str, Any]]]:
    for message in branch:
        if not isinstance(message.content, str):
            yield from (((message.id, at), part) for at, part in enumerate(message.content) if _is_one(part))


def _is_one(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "image_url"


def picture_file(part: Mapping[str, Any]) -> str | None:
    """Where the picture of an `image_url` part lies for the page to send it; None for one that is not shown.

    What it is said to be does not count: its bytes decide. Of these formats browsers make nothing but pictures.
    """
    url = part.get("image_url")
    url = url.get("url") if isinstance(url, dict) else url
    if not isinstance(url, str) or (found := _DATA.match(url)) is None:
        return None
    try:
        data = base64.b64decode(url[found.end() :], validate=True)
    except (binascii.Error, ValueError):
        return None
    format = format_of(data[:16])
    return None if format is None else save_bytes_to_cache(data, f"picture.{format.lower()}", get_upload_folder())
