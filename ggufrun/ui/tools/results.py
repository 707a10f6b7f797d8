"""What a tool of an MCP server gave, as the text that a model reads."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ggufrun.figures import gb

if TYPE_CHECKING:
    from mcp.types import CallToolResult, ContentBlock

LONGEST: Final = 100_000  # bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    text: str
    failed: bool = False


def outcome_of(result: "CallToolResult") -> Outcome:
    text = "\n".join(map(_text, result.content))
    if not text and result.structuredContent is not None:
        text = json.dumps(result.structuredContent, ensure_ascii=False)
    failed = bool(result.isError)
    if failed and not text.lower().startswith("error"):
        text = f"Error: {text or 'the tool says no more.'}"
    return Outcome(shortened(text) or "The tool gave nothing back.", failed)


def shortened(text: str) -> str:
    """Its beginning, where it is longer than a model should read; it says so itself."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= LONGEST:
        return text
    return f"{raw[:LONGEST].decode(errors='ignore')}\n[Cut here: this is {gb(LONGEST)} of {gb(len(raw))}.]"


def _text(block: "ContentBlock") -> str:
    match block.type:
        case "text":
            return block.text
        case "image" | "audio":
            return f"[{block.type}, {block.mimeType}, {gb(len(block.data) * 3 // 4)}: not shown to the model]"
        case "resource_link":
            return f"[{block.name}: {block.uri}]"
        case "resource":
            text = getattr(block.resource, "text", None)
            return text if isinstance(text, str) else f"[{block.resource.uri}: no text]"
