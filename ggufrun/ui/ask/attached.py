"""Attached files as parts of a message, read once: the same file is counted many times before it is sent."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ggufrun.errors import OptionError
from ggufrun.ui.ask.files import as_part, clean
from ggufrun.ui.ask.pdfs import pdf_text
from ggufrun.ui.ask.pictures import format_of, picture_part
from ggufrun.ui.ask.texts import LARGEST, text_of

_MOST_KEPT: Final = 16
Key = tuple[str, int, int]
_MOST_AT_ONCE: Final = 20


@dataclass(frozen=True, slots=True)
class Attached:
    key: Key  # another one once the file has changed
    name: str
    part: dict[str, Any]
    is_image: bool = False


class Files:
    """What was read lately. For the event loop's thread; the reading is done in others."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, asyncio.Future[Attached]] = OrderedDict()

    async def read(self, paths: Sequence[str]) -> list[Attached]:
        """Raises OptionError for one that cannot be sent."""
        if len(paths) > _MOST_AT_ONCE:
            raise OptionError(f"{len(paths)} files are too many for one message.", f"Send at most {_MOST_AT_ONCE}.")
        return [await self._one(Path(path)) for path in paths]

    async def _one(self, path: Path) -> Attached:
        key = await asyncio.to_thread(_key, path)
        reading = self._kept.pop(key, None) or asyncio.ensure_future(asyncio.to_thread(_read, key, path))
        self._kept[key] = reading
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return await asyncio.shield(reading)


def _key(path: Path) -> Key:
    try:
        stat = path.stat()
    except OSError as error:
        message = f"{clean(path.name)} is not here any more."
        raise OptionError(message, "Take it out, and attach it again.") from error
    return str(path), stat.st_size, stat.st_mtime_ns


def _read(key: Key, path: Path) -> Attached:
    name = clean(path.name)
    with path.open("rb") as file:
        start = file.read(1024)
        if (format := format_of(start)) is not None:
            return Attached(key, name, picture_part(name, path, format), is_image=True)
        if b"%PDF-" in start:
            return Attached(key, name, as_part(name, pdf_text(name, path)))
        return Attached(key, name, as_part(name, text_of(name, start + file.read(LARGEST))))
