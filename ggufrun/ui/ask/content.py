"""What the user has written and attached, as the content of a message."""

from typing import Any


async def content_of(value: dict[str, Any]) -> str | list[dict[str, Any]]:
    """`value`: of the box where one writes, `text` and `files`. Raises OptionError for a file that cannot be sent."""
    return str(value.get("text") or "")
