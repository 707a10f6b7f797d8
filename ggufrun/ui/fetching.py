"""What a browser sends is to name no file of another host: Gradio would fetch it, and so ask whom a visitor names."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from starlette.types import Message, Receive

_ADDRESS: Final = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")


class Foreign(ValueError):
    """It names one, or is no JSON that can be looked through."""


async def without_addresses(receive: Receive) -> Receive | None:
    """The same body, for who reads it next; None: the browser has left. Raises Foreign.

    How long it may be is the server's limit. A file's `url` is where its browser shows it from; Gradio needs none, and
    would fetch that one too.
    """
    whole = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        whole += message.get("body", b"")
        if not message.get("more_body"):
            break
    return _again({"type": "http.request", "body": checked(bytes(whole)), "more_body": False}, receive)


def checked(body: bytes) -> bytes:
    """Raises Foreign."""
    try:
        read = json.loads(body) if body.strip() else None
    except (ValueError, RecursionError) as error:
        raise Foreign("That is no JSON.") from error
    changed = False
    for file in _files(read):
        if _ADDRESS.match(file["path"]):
            raise Foreign("Files are sent to the page; it fetches none.")
        if file.get("url") is not None:
            del file["url"]
            changed = True
    return json.dumps(read).encode() if changed else body


def _files(read: Any) -> Iterator[dict[str, Any]]:
    """All that Gradio takes for files, however deep."""
    left = [read]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            if isinstance(each.get("path"), str) and "meta" in each:
                yield each
            left += each.values()
        elif isinstance(each, list):
            left += each


def _again(first: Message, receive: Receive) -> Receive:
    read = False

    async def again() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return first

    return again
