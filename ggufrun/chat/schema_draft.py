"""What a schema's own draft reads of it: older ones do not have all keywords, and see nothing beside a `$ref`."""

from typing import Any, Final

from ggufrun.chat.schema_check import Fault
from ggufrun.chat.schema_keywords import ANNOTATIONS, SINCE, draft
from ggufrun.chat.schema_pointer import Schema, mapped

_LONELY_REF: Final = 7  # the last draft in which `$ref` has no neighbours
_BESIDE_REF: Final = (ANNOTATIONS | {"$ref"}) - {"$id", "id"}
_UNKNOWN: Final = "this version of JSON Schema does not have it; another $schema does."


def read_by_draft(schema: Schema) -> tuple[Schema, list[Fault]]:
    """The schema without what its draft ignores, and of that each keyword that newer drafts have."""
    version = draft(schema) or 2020
    found: list[Fault] = []

    def read(node: dict[str, Any], pointer: str) -> dict[str, Any]:
        if version <= _LONELY_REF and isinstance(node.get("$ref"), str):
            return {keyword: value for keyword, value in node.items() if keyword in _BESIDE_REF}
        unknown = [keyword for keyword in node if SINCE.get(keyword, 0) > version]
        found.extend(Fault(f"{pointer}/{keyword}", _UNKNOWN) for keyword in unknown)
        return {keyword: value for keyword, value in node.items() if keyword not in unknown} if unknown else node

    return (schema, []) if version == max(SINCE.values()) else (mapped(schema, read), found)
