"""References of a JSON schema: each with the resource that it stands in, and all of them as pointers into the document.

Nothing is fetched: what is not in the document cannot be referred to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from ggufrun.chat.schema_pointer import Schema, escaped, every_child, mapped

DEFAULT: Final = "https://json-schema.org/draft/2020-12/schema"
_KEYWORDS: Final = ("$ref", "$dynamicRef")
_NAMES: Final = ("$id", "$anchor", "$dynamicAnchor")


@dataclass(frozen=True, slots=True)
class Reference:
    """`pointer` is the keyword's. `target` is what it refers to; None where that is not in the document."""

    pointer: str
    keyword: str
    value: str
    target: Any


def references(schema: Schema) -> Iterator[Reference]:
    """All references, as far as sub-schemas can be found: also those that nothing leads to."""
    specification = specification_with(_version(schema), default=DRAFT202012)
    root = specification.create_resource(schema)
    left = [("", schema, Registry().resolver_with_root(root))]
    while left:
        pointer, node, resolver = left.pop()
        if not isinstance(node, dict):
            continue
        for keyword in _KEYWORDS:
            value = node.get(keyword)
            if isinstance(value, str):
                yield Reference(f"{pointer}/{keyword}", keyword, value, _target(resolver, value))
        for below, child in every_child(node, pointer):
            inner = resolver
            if isinstance(child, dict) and isinstance(child.get("$id"), str):
                inner = resolver.in_subresource(specification.create_resource(child))
            left.append((below, child, inner))


def localised(schema: Schema) -> Schema:
    """The schema with every reference as a JSON pointer and without what the others need, where that is the same.

    It is left alone where a reference leads out of it or depends on how it is reached (`$dynamicRef`).
    """
    found = list(references(schema))
    places = dict(_places(schema, ""))
    dynamic = {name for _, node in _nodes(schema) if isinstance(name := node.get("$dynamicAnchor"), str)}
    moved: dict[str, str] = {}
    for each in found:
        depends = each.keyword == "$dynamicRef" and each.value.rpartition("#")[2] in dynamic
        if depends or (place := places.get(id(each.target))) is None:
            if each.value.startswith("#/") or each.value == "#":
                moved[each.pointer] = each.value  # to a boolean, or to nothing: the check says so
                continue
            return schema
        moved[each.pointer] = f"#{quote(place, safe='/~$')}"
    named = any(pointer and "$id" in node for pointer, node in _nodes(schema))
    if not (named or dynamic or _differ(found, moved)):
        return schema

    def renamed(node: dict[str, Any], pointer: str) -> dict[str, Any]:
        """With the `moved` references, and no names that are no longer needed."""
        copy = dict(node)
        for keyword in _KEYWORDS:
            if (here := moved.get(f"{pointer}/{keyword}")) is not None:
                del copy[keyword]
                copy["$ref"] = here
        for keyword in _NAMES if named or "$dynamicAnchor" in copy else ():
            copy.pop(keyword, None)
        return copy

    result: Schema = mapped(schema, renamed)
    return result


def _version(schema: Schema) -> str:
    return str(schema.get("$schema", DEFAULT)) if isinstance(schema, dict) else DEFAULT


def _target(resolver: Any, value: str) -> Any:
    try:
        return resolver.lookup(value).contents
    except (Unresolvable, LookupError, ValueError, TypeError, AttributeError):  # a $id that is none, and the like
        return None


def _differ(found: list[Reference], moved: dict[str, str]) -> bool:
    return any(moved[each.pointer] != each.value or each.keyword != "$ref" for each in found)


def _nodes(schema: Schema) -> Iterator[tuple[str, dict[str, Any]]]:
    left: list[tuple[str, Any]] = [("", schema)]
    while left:
        pointer, node = left.pop()
        if isinstance(node, dict):
            yield pointer, node
            left.extend(every_child(node, pointer))


def _places(value: Any, pointer: str) -> Iterator[tuple[int, str]]:
    """Where each object is, by its identity: no two places of a parsed document share one."""
    if isinstance(value, dict):
        yield id(value), pointer
        for name, below in value.items():
            yield from _places(below, f"{pointer}/{escaped(name)}")
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _places(below, f"{pointer}/{index}")
