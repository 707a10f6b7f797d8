"""What a plan pins, as the form has it, and as the API's query does."""

from collections.abc import Mapping
from typing import Any, Final

from ggufrun.errors import OptionError

_NAMES: Final = ("context", "kv_type", "gpu_layers", "gpu", "ram")


def query_of(form: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that are empty are the planner's to choose. Raises OptionError."""
    given = {name: str(form.get(name) or "").strip() for name in _NAMES}
    query: dict[str, Any] = {name: text for name, text in given.items() if text}
    if "context" in query:
        query["context"] = _tokens(query["context"])
    query["mmproj"] = bool(form.get("mmproj"))
    return query


def _tokens(text: str) -> int:
    """32768, 32,768 or 32k."""
    plain = text.lower().replace(",", "").replace("_", "").replace(" ", "")
    number, scale = (plain[:-1], 1024) if plain.endswith("k") else (plain, 1)
    if not (number.isascii() and number.isdecimal()):
        raise OptionError(f"{text!r} is no number of tokens.", "Give the context as 32768 or 32k.")
    return int(number) * scale
