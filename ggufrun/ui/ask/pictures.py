"""Images as models take them: upright, not larger than they see, written anew without what cameras add."""

import base64
import io
from pathlib import Path
from typing import Any, Final

from PIL import Image, ImageOps

from ggufrun.errors import OptionError

LONGEST_SIDE: Final = 2048  # pixels
MOST_PIXELS: Final = 80_000_000  # of the file: what takes 240 MB when it is opened
LONGEST_OPENED: Final = 65_535  # pixels of a side of the file: a row of millions, as PNG allows, takes gigabytes
MOST_SCANS: Final = 100  # of a JPEG: each goes over all of the image, and one of a few bytes takes as long as any
MOST_LOSSLESS: Final = 1_500_000  # bytes; what is larger as PNG becomes a JPEG
_STARTS: Final = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF87a": "GIF", b"GIF89a": "GIF"}


def format_of(start: bytes) -> str | None:
    """By the first bytes of a file; None for what is no image that models read."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    return next((name for magic, name in _STARTS.items() if start.startswith(magic)), None)


def picture_part(name: str, path: Path, format: str) -> dict[str, Any]:
    """For a thread: a part of a message's content. Raises OptionError with what is wrong with it."""
    try:
        if format == "JPEG" and path.read_bytes().count(b"\xff\xda") > MOST_SCANS:  # never in a scan itself
            raise OptionError(f"{name} is a JPEG of more than {MOST_SCANS} scans.", "Save it anew, as a usual JPEG.")
        with Image.open(path, formats=[format]) as image:
            width, height = image.size
            if width * height > MOST_PIXELS or max(width, height) > LONGEST_OPENED:
                raise _too_large(name, f"{width:,} × {height:,} pixels")
            url = _data_url(_upright(image), lossless=format in ("PNG", "GIF"))
    except OptionError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(name, "far too many pixels") from error
    except Exception as error:  # a broken file can raise anything in there: OSError, SyntaxError, struct's own
        message = f"{name} is broken and cannot be read as {format}."
        raise OptionError(message, "Open it in an image program, and save it anew.") from error
    return {"type": "image_url", "image_url": {"url": url}}


def _too_large(name: str, how: str) -> OptionError:
    return OptionError(f"{name} has {how}.", f"Make it smaller: models see at most about {LONGEST_SIDE:,} each way.")


def _upright(image: Image.Image) -> Image.Image:
    """The first frame, as a camera was held, on white where one can see through it."""
    image.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))  # a JPEG is not opened larger than needed
    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I;16") or turned.mode in ("I", "F"):
        turned = turned.point(lambda value: value / 256).convert("L")
    if turned.has_transparency_data:
        seen = turned.convert("RGBA")
        turned = Image.new("RGBA", seen.size, "white")
        turned.alpha_composite(seen)
    made = turned.convert("RGB")
    made.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    return made


def _data_url(image: Image.Image, *, lossless: bool) -> str:
    """Of its pixels alone."""
    bare = Image.frombytes(image.mode, image.size, image.tobytes())
    file = io.BytesIO()
    if lossless:
        bare.save(file, "PNG", optimize=False)
    if not lossless or file.tell() > MOST_LOSSLESS:
        file = io.BytesIO()
        bare.save(file, "JPEG", quality=90)
        lossless = False
    return f"data:image/{'png' if lossless else 'jpeg'};base64,{base64.b64encode(file.getvalue()).decode()}"
