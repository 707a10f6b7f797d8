"""Lark rules for tool calls in the forms that `style.py` names: what `tool_choice` forces, or allows beside JSON."""

import json
from collections.abc import Iterable, Mapping
from typing import Final

from ggufrun.chat.parse_hermes import CLOSE, OPEN
from ggufrun.chat.parse_mistral import ARGS
from ggufrun.chat.style import OutputStyle

_MOST: Final = 16  # calls in one answer
_TOOL_CALLS: Final = "[TOOL_CALLS]"
_BREAK: Final = "\n"


def call_rules(tools: Mapping[str, str], style: OutputStyle, parallel: bool) -> str | None:
    """Rules, `calls` first, that match one or (`parallel`) more calls. None where the style has no tool calls.

    `tools` maps names to the JSON schemas of their arguments, as JSON, checked.
    """
    most = _MOST if parallel else 1
    special = {name: f"<[{token}]>" for name, token in style.special.items()}
    if style.tool_calls == "mistral" and _TOOL_CALLS in special and ARGS in special:
        calls = [f"{_text(name)} {special[ARGS]} arguments_{i}" for i, name in enumerate(tools)]
        head = [f"calls: call{{1,{most}}}", f"call: {special[_TOOL_CALLS]} named", f"named: {_any(calls)}"]
    elif style.tool_calls == "mistral" and _TOOL_CALLS in special:
        more = _more('", " call', most)
        head = [rf'calls: {special[_TOOL_CALLS]} / ?\[/ call {more} "]"', f"call: {_any(_objects(tools))}"]
    elif style.tool_calls == "hermes":
        more = _more(f"{_text(_BREAK)} call", most)
        calls = [f"{_text(f'{OPEN}{_BREAK}')} object {_text(f'{_BREAK}{CLOSE}')}"]
        head = [f"calls: call {more}", f"call: {_any(calls)}", f"object: {_any(_objects(tools))}"]
    else:
        return None
    return "\n".join([*head, *(f"arguments_{i}: %json {schema}" for i, schema in enumerate(tools.values()))])


def _objects(names: Iterable[str]) -> list[str]:
    """A call of each tool as JSON, the name first, as the parsers want it."""
    heads = [f'{{"name": {json.dumps(name)}, "arguments": ' for name in names]
    return [f'{_text(head)} arguments_{i} "}}"' for i, head in enumerate(heads)]


def _more(again: str, most: int) -> str:
    return f"({again}){{0,{most - 1}}}" if most > 1 else ""


def _any(alternatives: Iterable[str]) -> str:
    return " | ".join(f"({alternative})" for alternative in alternatives)


def _text(text: str) -> str:
    """A lark string."""
    return json.dumps(text, ensure_ascii=False)
