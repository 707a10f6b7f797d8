"""JSON Schema's keywords, by what becomes of them in a grammar. As of llguidance 1.9; drafts 4 to 2020-12."""

from typing import Final

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

NO_EFFECT: Final = (("uniqueItems", False), ("nullable", False), ("unevaluatedProperties", True))
DRAFTS: Final = ("/draft/2020-12/schema", "/draft/2019-09/schema", *(f"/draft-0{n}/schema" for n in (7, 6, 4)))
NUMBERS: Final = ("const", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
COUNTS: Final = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
