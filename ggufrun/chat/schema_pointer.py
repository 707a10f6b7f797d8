"""JSON pointers into a JSON schema: what stands there, which sub-schemas a schema has, what it refers to."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

Schema = dict[str, Any] | bool

_MAPS = ("properties", "patternProperties")  # name -> schema
_LISTS = ("prefixItems", "anyOf", "oneOf", "allOf")
_SINGLE = ("items", "additionalProperties", "additionalItems")
_MORE_MAPS = (*_MAPS, "$defs", "definitions", "dependentSchemas", "dependencies")
_MORE_SINGLE = (
    *(*_SINGLE, "not", "if", "then", "else", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties"),
    "contentSchema",
)


def escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def names(pointer: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def at(root: Any, pointer: str) -> Any:
    """What a pointer points to. Raises LookupError."""
    found = root
    for name in names(pointer):
        if isinstance(found, dict):
            found = found[name]
        elif isinstance(found, list) and name.isdecimal():
            found = found[int(name)]
        else:
            raise LookupError(pointer)
    return found


def has(root: Any, pointer: str) -> bool:
    try:
        at(root, pointer)
    except LookupError:
        return False
    return True


def replaced(root: Any, pointer: str, value: Any) -> Any:
    """A copy of `root` with another value at the pointer; what is not on the way there is shared."""
    path = names(pointer)
    if not path:
        return value
    name, rest = path[0], "".join(f"/{escaped(part)}" for part in path[1:])
    if isinstance(root, dict):
        return {**root, name: replaced(root[name], rest, value)}
    copy = list(root)
    copy[int(name)] = replaced(copy[int(name)], rest, value)
    return copy


def children(schema: Schema, pointer: str) -> Iterator[str]:
    """The pointers of the direct sub-schemas, definitions left out."""
    for keyword, value in schema.items() if isinstance(schema, dict) else ():
        here = f"{pointer}/{keyword}"
        if keyword in _MAPS and isinstance(value, dict):
            yield from (f"{here}/{escaped(name)}" for name in value)
        elif isinstance(value, list) and (keyword in _LISTS or keyword == "items"):
            yield from (f"{here}/{index}" for index in range(len(value)))
        elif keyword in _SINGLE and isinstance(value, dict | bool):
            yield here


def every_child(schema: Schema, pointer: str) -> Iterator[tuple[str, Any]]:
    """All direct sub-schemas with their pointers, definitions and those that no grammar knows included."""
    for keyword, value in schema.items() if isinstance(schema, dict) else ():
        here = f"{pointer}/{escaped(keyword)}"
        if keyword in _MORE_MAPS and isinstance(value, dict):
            named = ((f"{here}/{escaped(name)}", below) for name, below in value.items())
            yield from ((place, below) for place, below in named if isinstance(below, dict | bool))
        elif isinstance(value, list) and (keyword in _LISTS or keyword == "items"):
            yield from ((f"{here}/{index}", below) for index, below in enumerate(value))
        elif keyword in _MORE_SINGLE and isinstance(value, dict | bool):
            yield here, value


def mapped(schema: Any, change: Callable[[dict[str, Any], str], dict[str, Any]], pointer: str = "") -> Any:
    """A copy in which `change` has made every sub-schema that `every_child` finds, from outside to inside."""
    if not isinstance(schema, dict):
        return schema
    copy: dict[str, Any] = {}
    for keyword, value in change(schema, pointer).items():
        here = f"{pointer}/{escaped(keyword)}"
        if keyword in _MORE_MAPS and isinstance(value, dict):
            value = {name: mapped(below, change, f"{here}/{escaped(name)}") for name, below in value.items()}
        elif isinstance(value, list) and (keyword in _LISTS or keyword == "items"):
            value = [mapped(below, change, f"{here}/{index}") for index, below in enumerate(value)]
        elif keyword in _MORE_SINGLE:
            value = mapped(value, change, here)
        copy[keyword] = value
    return copy


def is_schema(root: Any, pointer: str) -> bool:
    """Whether a sub-schema stands there, rather than a keyword's value or a list of schemas."""
    path, place = names(pointer), ""
    while path:
        node = at(root, place)
        below = {child for child, _ in every_child(node, place)} if isinstance(node, dict) else set()
        for size in (1, 2):
            step = place + "".join(f"/{escaped(part)}" for part in path[:size])
            if len(path) >= size and step in below:
                place, path = step, path[size:]
                break
        else:
            return False
    return True


def reference(schema: Schema) -> str | None:
    """The pointer that the schema's `$ref` gives, where it is one into the same document."""
    target = schema.get("$ref") if isinstance(schema, dict) else None
    if not isinstance(target, str) or not (target == "#" or target.startswith("#/")):
        return None
    return unquote(target[1:])
