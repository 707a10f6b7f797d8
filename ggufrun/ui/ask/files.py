"""Files beside a question: their text as a part of the message, and how such a part is known again."""

from typing import Any


def as_part(name: str, text: str) -> dict[str, Any]:
    """A part of a message's content."""
    return {"type": "text", "text": f"[file: {name}]\n{text}\n[end of file]"}


def from_part(part: dict[str, Any]) -> tuple[str, str] | None:
    """Name and text of the file that a part is; None for what the user has written."""
    head, _, rest = str(part.get("text", "")).partition("\n")
    if not head.startswith("[file: ") or not rest.endswith("\n[end of file]"):
        return None
    return head.removeprefix("[file: ").removesuffix("]"), rest.removesuffix("\n[end of file]")
