"""Pictures in messages: those that lie in the message itself. What is elsewhere is never fetched."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, Final

from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from ggufrun.ui.ask.pictures import format_of

_DATA: Final = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)


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
