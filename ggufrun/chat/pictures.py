"""A picture's file to the pixels that a model sees: upright, on white, resized to whole patches.

Blocking: for a thread; large ones are opened in a process (`picture_process`). What has been made lately is kept, since
a conversation repeats its pictures with every turn.
"""

import hashlib
import io
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ggufrun.chat import picture_process
from ggufrun.chat.picture_files import PEEK, format_of
from ggufrun.chat.resize import resized
from ggufrun.chat.types import ImageChunk
from ggufrun.chat.vision import Vision
from ggufrun.errors import RequestError

MOST_PIXELS: Final = 80_000_000  # of a file: what takes 320 MB when it is opened
LONGEST: Final = 65_535  # pixels of a side: JPEG's and GIF's limit; PNG has none, and a row of millions takes gigabytes
# Of all pictures of a request: 36 as large as any is seen, and 40 photos or so. What is more takes memory, or minutes.
MOST_SEEN: Final = 36 * 1540 * 1540
MOST_OPENED: Final = 1_000_000_000
_LEAST: Final = 100_000  # what a picture counts as, at least: a file takes its time, however small it is
_MOST_SCANS: Final = 100  # of a JPEG: each goes over all of the picture, and one of a few bytes takes as long as any
_KEPT: Final = 128_000_000  # bytes of pixels
_SCAN: Final = b"\xff\xda"  # never in a scan itself
_ORIENTATION: Final = 0x0112  # of EXIF
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_AGAIN: Final = "Save it anew as PNG, JPEG, WebP or GIF."


@dataclass(frozen=True, slots=True)
class Picture:
    """`columns` and `rows`: tokens. `key`: equal keys are equal pictures."""

    columns: int
    rows: int
    width: int
    height: int
    pixels: bytes = field(repr=False)  # RGB, row by row
    key: str
    opened: int  # pixels of its file


class Pictures:
    """Of one model. Safe to use from several threads."""

    def __init__(self, vision: Vision) -> None:
        self.vision = vision
        self._kept: OrderedDict[bytes, Picture] = OrderedDict()  # by the file's hash, the latest last
        self._bytes = 0
        self._lock = Lock()

    def of(self, chunk: ImageChunk) -> Picture:
        """Raises RequestError for a file that is no picture, or a broken or far too large one."""
        file = hashlib.sha256(chunk.data).digest()
        with self._lock:
            if file in self._kept:
                self._kept.move_to_end(file)
                return self._kept[file]
        picture = self._read(chunk.data, chunk.at)
        with self._lock:
            if file not in self._kept:
                self._kept[file] = picture
                self._bytes += len(picture.pixels)
            while self._bytes > _KEPT:
                self._bytes -= len(self._kept.popitem(last=False)[1].pixels)
        return picture

    def _read(self, data: bytes, at: str) -> Picture:
        format = format_of(data[:PEEK])
        if format is None:
            raise RequestError("The image is no PNG, JPEG, WebP or GIF file.", _AGAIN, at)
        if format == "JPEG" and data.count(_SCAN) > _MOST_SCANS:
            raise RequestError(f"The image is a JPEG of more than {_MOST_SCANS} scans.", _AGAIN, at)
        try:
            with Image.open(io.BytesIO(data), formats=[format]) as image:
                if image.width * image.height > MOST_PIXELS or max(image.size) > LONGEST:
                    raise _too_large(f"{image.width:,} x {image.height:,} pixels", at)
                if image.width * image.height <= picture_process.LARGE:
                    return _seen(_upright(image), self.vision)
            told, pixels = picture_process.seen_apart(data, format, self.vision)
            return Picture(**told, pixels=pixels)
        except RequestError:
            raise
        except picture_process.NotSeen as error:
            raise RequestError(f"The image {error}.", _AGAIN, at) from error
        except Image.DecompressionBombError as error:
            raise _too_large("far too many pixels", at) from error
        except Exception as error:  # a broken file can raise anything in there: OSError, SyntaxError, struct's own
            raise RequestError(f"The image is broken and cannot be read as {format}.", _AGAIN, at) from error


class Album:
    """The pictures of one request: not more together than there are memory and time for."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self._seen = dict[str, Picture]()  # each once, though it may have been opened twice
        self._pixels = self._opened = 0

    def of(self, chunk: ImageChunk) -> Picture:
        picture = self._pictures.of(chunk)
        self._opened += max(picture.opened, _LEAST)
        if picture.key not in self._seen:
            self._pixels += picture.width * picture.height
        if self._pixels > MOST_SEEN or self._opened > MOST_OPENED:
            raise RequestError("The images of this request are too large together.", "Send fewer.", chunk.at)
        return self._seen.setdefault(picture.key, picture)


def seen_here(data: bytes, format: str, vision: Vision) -> Picture:
    """What a model sees of a file, opened in this process. Raises what Pillow does."""
    with Image.open(io.BytesIO(data), formats=[format]) as image:
        return _seen(_upright(image), vision)


def _too_large(how: str, at: str) -> RequestError:
    return RequestError(
        f"The image has {how}.", f"Send at most {MOST_PIXELS // 1_000_000} million, {LONGEST:,} a side.", at
    )


def _upright(image: Image.Image) -> Image.Image:
    """The first frame, as the camera was held, in eight bits a channel."""
    image.load()
    if (turn := _turn(image)) is not None:
        image = image.transpose(turn)
    if image.mode.startswith("I;16"):
        return image.point(lambda value: value / 256).convert("L")
    return image


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # what a camera has added may be broken in any way: the picture is not
        return None


def _seen(image: Image.Image, vision: Vision) -> Picture:
    def rows(first: int, last: int) -> npt.NDArray[np.uint8]:
        return np.asarray(_on_white(image.crop((0, first, image.width, last))), dtype=np.uint8)

    columns, lines = vision.grid(*image.size)
    width, height = columns * vision.cell, lines * vision.cell
    pixels = resized(rows, image.size, (width, height)).tobytes()
    key = hashlib.sha256(b"%d %d " % (width, height) + pixels).hexdigest()
    return Picture(columns, lines, width, height, pixels, key, image.width * image.height)


def _on_white(image: Image.Image) -> Image.Image:
    """RGB, as mistral-common makes it: what one can see through is white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    seen = image.convert("RGBA")
    white = Image.new("RGBA", seen.size, "WHITE")
    white.paste(seen, (0, 0), seen)
    return white.convert("RGB")
