"""Which properties and items a schema evaluates whatever the instance is: what `unevaluated*` leaves out."""

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

from ggufrun.chat.schema_pointer import Schema

ALL: Final = "all"
Properties = tuple[frozenset[str], frozenset[str]]  # names and patterns
_Resolve = Callable[[Schema], Schema]
_Spend = Callable[[int], None]  # counts the work, and ends it where it is too much
_SOMETIMES: Final = ("anyOf", "oneOf", "if", "then", "else", "dependentSchemas")
_DEEPEST: Final = 12
_MOST: Final = 500  # schemas that are looked at


def evaluated_properties(schema: Schema, resolved: _Resolve, spend: _Spend) -> Properties | Literal["all"] | None:
    """The names and patterns that are always evaluated; None where it depends on the instance."""
    names, patterns = set[str](), set[str]()
    for part, always in _applied(schema, resolved, spend):
        if part is None or "$dynamicRef" in part:
            return None
        every = "additionalProperties" in part or "unevaluatedProperties" in part
        own, forms = part.get("properties", ()), part.get("patternProperties", ())
        if not always and (every or own or forms):
            return None
        if every:
            return ALL
        names.update(own)
        patterns.update(forms)
    return frozenset(names), frozenset(patterns)


def evaluated_items(schema: Schema, resolved: _Resolve, spend: _Spend) -> int | Literal["all"] | None:
    """How many items from the first on are always evaluated; None where it depends on the instance."""
    count, every = 0, False
    for part, always in _applied(schema, resolved, spend):
        if part is None or "contains" in part or "$dynamicRef" in part or isinstance(part.get("items"), list):
            return None
        all_here, first = "items" in part or "unevaluatedItems" in part, len(part.get("prefixItems", ()))
        if not always and (all_here or first):
            return None
        every = every or all_here
        count = max(count, first)
    return ALL if every else count


def _applied(schema: Schema, resolved: _Resolve, spend: _Spend) -> Iterator[tuple[dict[str, Any] | None, bool]]:
    """The schemas that are applied to the same instance, and whether they always are; None: there are too many.

    None of a `not` counts: what it evaluates is forgotten.
    """
    left: list[tuple[Schema, bool, int]] = [(schema, True, 0)]
    for looked in range(_MOST + 1):
        if not left:
            return
        part, always, depth = left.pop()
        if looked == _MOST or depth > _DEEPEST:
            yield None, always
            return
        if not isinstance(part, dict):
            continue
        spend(1 + len(part.get("properties", ())) + len(part.get("patternProperties", ())))
        yield part, always
        left += [(below, always, depth + 1) for below in part.get("allOf", ())]
        if "$ref" in part:
            left.append((resolved({"$ref": part["$ref"]}), always, depth + 1))
        for keyword in _SOMETIMES:
            value = part.get(keyword, ())
            if keyword == "dependentSchemas" and isinstance(value, dict):
                value = list(value.values())
            listed = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
            left += [(below, False, depth + 1) for below in listed]
