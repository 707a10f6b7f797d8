"""JSON Schema's keywords, by what becomes of them in a grammar, and by draft. As of llguidance 1.9."""

from typing import Any, Final

# fmt: off
ENFORCED: Final = frozenset((
    "$ref", "additionalItems", "additionalProperties", "allOf", "anyOf", "const", "enum", "exclusiveMaximum",
    "exclusiveMinimum", "format", "items", "maxItems", "maxLength", "maxProperties", "maximum", "minItems",
    "minLength", "minProperties", "minimum", "multipleOf", "oneOf", "pattern", "patternProperties", "prefixItems",
    "properties", "required", "type",
))
ANNOTATIONS: Final = frozenset((
    "$anchor", "$comment", "$defs", "$id", "$schema", "contentEncoding", "contentMediaType", "contentSchema",
    "default", "definitions", "deprecated", "description", "discriminator", "example", "examples", "externalDocs",
    "id", "readOnly", "title", "writeOnly", "xml",
))
UNENFORCEABLE: Final = frozenset((
    "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef", "$vocabulary", "contains", "dependencies",
    "dependentRequired", "dependentSchemas", "else", "if", "maxContains", "minContains", "not", "propertyNames",
    "then", "unevaluatedItems", "unevaluatedProperties", "uniqueItems",
))
# fmt: on

# The first draft that has a keyword; all others are in draft 4, or do no harm where they are unknown.
SINCE: Final = {
    **dict.fromkeys(("const", "contains", "propertyNames"), 6),
    **dict.fromkeys(("if", "then", "else"), 7),
    **dict.fromkeys(("minContains", "maxContains", "dependentRequired", "dependentSchemas"), 2019),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), 2019),
    "prefixItems": 2020,
}
DRAFTS: Final = {
    "/draft/2020-12/schema": 2020,
    "/draft/2019-09/schema": 2019,
    **{f"/draft-0{number}/schema": number for number in (7, 6, 4)},
}
NO_EFFECT: Final[tuple[tuple[str, Any], ...]] = (
    ("uniqueItems", False),
    ("nullable", False),
    ("unevaluatedItems", True),
    ("unevaluatedItems", {}),
    ("unevaluatedProperties", True),
    ("unevaluatedProperties", {}),
)
NUMBERS: Final = ("const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
COUNTS: Final = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def draft(schema: Any) -> int | None:
    """The draft that a document says it is written in: 2020 where it says nothing, None for one that is unknown."""
    version = schema.get("$schema") if isinstance(schema, dict) else None
    if version is None:
        return 2020
    return next((number for ending, number in DRAFTS.items() if str(version).rstrip("#").endswith(ending)), None)
