"""Parameters of a function as BFCL describes them, in Python's types, to JSON schema"""

from collections.abc import Mapping
from typing import Any, Final

_TYPES: Final = {
    "dict": "object",
    "float": "number",
    "tuple": "array",
    "string": "string",
    "integer": "integer",
    "boolean": "boolean",
    "array": "array",
}
_KEPT: Final = ("description", "default", "enum", "required", "maximum")


def json_schema(described: Mapping[str, Any]) -> dict[str, Any]:
    """Objects whose properties are listed have no others; what is null if it is not given may be null."""
    kind = _TYPES.get(described.get("type", "any"))  # "any" allows everything
    nullable = "default" in described and described["default"] is None
    schema: dict[str, Any] = {}
    if kind is not None:
        schema["type"] = [kind, "null"] if nullable else kind
    schema |= {name: described[name] for name in _KEPT if name in described}
    if nullable and "enum" in schema:
        schema["enum"] = list(dict.fromkeys([*schema["enum"], None]))
    if "items" in described:
        schema["items"] = json_schema(described["items"])
    if kind == "array" and "enum" in schema:  # what its elements may be is meant
        schema["items"] = {**schema.get("items", {}), "enum": schema.pop("enum")}
    if properties := described.get("properties"):
        schema["properties"] = {name: json_schema(below) for name, below in properties.items()}
        schema["additionalProperties"] = False
    return schema
