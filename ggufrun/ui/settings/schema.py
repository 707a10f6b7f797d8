"""A JSON schema as the user writes it: read, and what the server says of it as HTML. No widgets."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

Schema = dict[str, Any] | bool
MOST: Final = 8  # keywords of a kind that are named

EXAMPLE: Final = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 80},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 3},
        "mood": {"enum": ["happy", "neutral", "sad"]},
    },
    "required": ["title", "tags", "mood"],
    "additionalProperties": False,
}


class BadSchema(ValueError):
    """What is written is no JSON, or no schema; with the place where it is known."""


def schema_of(text: str) -> Schema | None:
    """None for an empty text. Raises BadSchema."""
    if not text.strip():
        return None
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise BadSchema(f"Line {error.lineno}, column {error.colno}: {error.msg}.") from error
    except RecursionError as error:
        raise BadSchema("It is nested too deep.") from error
    if not isinstance(found, dict | bool):
        raise BadSchema('A schema is an object in braces, as in {"type": "object"}.')
    return found


def written(schema: Schema | None) -> str:
    """As it stands in the editor."""
    return "" if schema is None else json.dumps(schema, indent=2, ensure_ascii=False)


def refused(why: str, schema: Schema | None) -> Markup:
    """`schema`: the one that is used instead."""
    instead = "Answers are not bound to a schema." if schema is None else "The one before it is still used."
    return Markup('<p class="bad" role="alert"><b>Not used.</b> {} {}</p>').format(why, instead)


def told(check: Mapping[str, Any]) -> Markup:
    """What POST /v1/schema/check has answered of a schema that can be used."""
    kinds = (
        ("enforced", "Enforced while the answer is written"),
        ("rewritten", "Rewritten, then enforced"),
        ("checked_afterwards", "Checked when the answer is complete"),
        ("refused", "Not to be enforced"),
    )
    checked = {each.get("pointer") for each in check.get("checked_afterwards") or ()}
    parts = [_told(title, kind, _those(check.get(kind), checked if kind == "refused" else ())) for kind, title in kinds]
    good = Markup('<p class="good"><b>In force.</b> {}</p>').format(
        "Every answer will match it." if check.get("strict") else "Parts of it cannot be enforced."
    )
    return good + Markup("").join(parts)


def why_unusable(check: Mapping[str, Any]) -> str:
    """ "" for a schema that can be used."""
    if check.get("usable"):
        return ""
    faults = check.get("refused") or [{}]
    return " ".join(
        f"{each.get('pointer') or 'The schema'}: {each.get('reason') or 'is wrong.'}" for each in faults[:3]
    )


def _those(found: Any, without: Any) -> Sequence[Mapping[str, Any]]:
    return [each for each in found or () if each.get("pointer") not in without]


def _told(title: str, kind: str, found: Sequence[Mapping[str, Any]]) -> Markup:
    if not found:
        return Markup("")
    one = Markup("<li><code>{}</code> {}</li>")
    lines = [one.format(each.get("pointer") or "/", each.get("reason") or "") for each in found[:MOST]]
    if len(found) > MOST:
        lines.append(Markup("<li>and {} more</li>").format(len(found) - MOST))
    opened = Markup("" if kind == "enforced" else " open")
    shown = Markup('<details class="{}"{}><summary>{}: {}</summary><ul>{}</ul></details>')
    return shown.format(kind, opened, title, len(found), Markup("").join(lines))


def _no_constant(name: str) -> None:
    raise BadSchema(f"{name} is no JSON.")
