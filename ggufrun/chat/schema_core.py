"""What every value of a schema must meet: where that is impossible, nothing satisfies the schema.

llguidance calls a schema unsatisfiable as soon as one of its references is, also where a value could do without it.
"""

from typing import Any, Final

from ggufrun.chat.schema_keywords import ENFORCED
from ggufrun.chat.schema_pointer import Schema, at, reference

_MOST: Final = 2_000  # sub-schemas that are looked at: references repeat them
_DEEPEST: Final = 100
# fmt: off
_PLAIN: Final = ENFORCED - {
    "$ref", "additionalItems", "additionalProperties", "allOf", "anyOf", "items", "oneOf", "patternProperties",
    "prefixItems", "properties",
}
# fmt: on


def core(schema: Schema) -> Schema:
    """A schema that allows at least as much: no references, and none of the parts that a value may leave out."""
    return _Core(schema).of(schema, frozenset())


class _Core:
    def __init__(self, root: Schema) -> None:
        self._root, self._left, self._depth = root, _MOST, 0

    def of(self, schema: Any, seen: frozenset[str]) -> Schema:
        """`seen` are the references that led here: one that leads to itself asks for nothing new."""
        if not isinstance(schema, dict):
            return schema is not False
        if self._left == 0 or self._depth == _DEEPEST:
            return True
        self._left -= 1
        self._depth += 1
        found = self._of(schema, seen)
        self._depth -= 1
        return found

    def _of(self, schema: dict[str, Any], seen: frozenset[str]) -> Schema:
        kept = {key: value for key, value in schema.items() if key in _PLAIN}
        parts = [self.of(part, seen) for part in schema.get("allOf", ())]
        choices = [schema[keyword] for keyword in ("anyOf", "oneOf") if keyword in schema]
        parts += [{"anyOf": [self.of(part, seen) for part in choice]} for choice in choices]
        if (target := reference(schema)) is not None and target not in seen:
            parts.append(self.of(self._at(target), seen | {target}))
        return {
            **kept,
            **self._object(schema, seen),
            **self._array(schema, seen),
            **({"allOf": parts} if parts else {}),
        }

    def _at(self, target: str) -> Any:
        try:
            return at(self._root, target)
        except LookupError:
            return True

    def _object(self, schema: dict[str, Any], seen: frozenset[str]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        if own := schema.get("properties"):
            needed = set(schema.get("required", ()))
            kept["properties"] = {name: self.of(below, seen) if name in needed else True for name, below in own.items()}
        if patterns := schema.get("patternProperties"):
            kept["patternProperties"] = dict.fromkeys(patterns, True)
        if schema.get("additionalProperties") is False:
            kept["additionalProperties"] = False
        return kept

    def _array(self, schema: dict[str, Any], seen: frozenset[str]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        least, first, items = schema.get("minItems", 0), schema.get("prefixItems", []), schema.get("items")
        if first:
            kept["prefixItems"] = [self.of(below, seen) if index < least else True for index, below in enumerate(first)]
        if items is False or (isinstance(items, dict) and least > len(first)):
            kept["items"] = self.of(items, seen)
        return kept
