"""How each keyword is rewritten without loss. A rule returns None, or raises TooMuch, where it is not sure."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice, permutations
from typing import Any, Final

from ggufrun.chat.schema_evaluated import ALL, evaluated_items, evaluated_properties
from ggufrun.chat.schema_logic import Logic, all_of, any_of, excluding, types_of, values_of
from ggufrun.chat.schema_pointer import Schema

_DEPENDENCIES: Final = 6  # each doubles the cases
_BRANCHES: Final = 4  # of a oneOf whose branches may overlap
_POSITIONS: Final = 8  # at which an item may be that an array must contain
_ARRAYS: Final = 400  # that are listed instead of uniqueItems


@dataclass(frozen=True, slots=True)
class Place:
    """Where a keyword stands: the whole schema, what is in it beside the keyword's group, and how to follow a $ref."""

    schema: dict[str, Any]
    rest: dict[str, Any]
    resolved: Callable[[Schema], Schema]
    logic: Logic


@dataclass(frozen=True, slots=True)
class Change:
    """What takes the place of a keyword's group: `edits` of its neighbours, and schemas that must hold too."""

    also: tuple[Schema, ...] = ()
    edits: Mapping[str, Any] = field(default_factory=dict)


_GONE: Final = Change()


def _not(value: Any, place: Place) -> Change | None:
    opposite = place.logic.negated(value, place.rest)
    return None if opposite is None else Change((opposite,))


def _if(value: Any, place: Place) -> Change | None:
    then, otherwise = place.schema.get("then", True), place.schema.get("else", True)
    if then in (True, {}) and otherwise in (True, {}):
        return _GONE
    if isinstance(value, bool):
        return Change((then if value else otherwise,))
    if then in (True, {}):
        return Change((any_of((value, otherwise)),))
    opposite = place.logic.negated(value, place.rest)
    if opposite is None:
        return None
    if otherwise in (True, {}):
        return Change((any_of((opposite, then)),))
    return Change((any_of((all_of(value, then), all_of(opposite, otherwise))),))


def _without_if(value: Any, place: Place) -> Change | None:
    return None if "if" in place.schema else _GONE


def _dependencies(value: Any, place: Place) -> Change | None:
    """Lists of names that a property requires, or schemas that it brings in."""
    also: list[Schema] = []
    for name, needed in value.items():
        schema: Schema = {"required": needed} if isinstance(needed, list) else needed
        if schema is True or schema == {} or needed == []:
            continue
        if name in place.rest.get("required", ()) and types_of(place.rest) == {"object"}:
            also.append(schema)
        else:
            also.append(any_of(({"properties": {name: False}}, schema)))
    return Change(tuple(also)) if len(also) <= _DEPENDENCIES else None


def _property_names(value: Any, place: Place) -> Change | None:
    names = place.resolved(value)
    if isinstance(names, bool):
        return _GONE if names else Change(({"maxProperties": 0},))
    known, other = place.rest.get("properties", {}), place.rest.get("additionalProperties", True)
    if place.rest.get("patternProperties"):
        return None
    used = set(names) - {"$schema", "description", "title", "$comment", "type", "$defs"}
    if "string" not in types_of({"type": names.get("type", "string")}):
        return Change(({"maxProperties": 0},))
    if used in ({"enum"}, {"const"}):
        allowed = dict.fromkeys(name for name in values_of(names) or () if isinstance(name, str))
        place.logic.spend(len(allowed))
        properties = {name: known.get(name, other) for name in (*allowed, *known)}
        refused = {name: False for name in known if name not in allowed}
        return Change(edits={"properties": {**properties, **refused}, "additionalProperties": False})
    if not used:
        return _GONE
    pattern = names.get("pattern") if used == {"pattern"} else _length_pattern(names, used)
    if pattern is None or (known and (used == {"pattern"} or other is not True)):
        return None
    least, most = names.get("minLength", 0), names.get("maxLength", float("inf"))
    refused = {name: False for name in known if not least <= len(name) <= most}
    edits = {"patternProperties": {pattern: other}, "additionalProperties": False}
    return Change(edits=edits | ({"properties": {**known, **refused}} if known else {}))


def _length_pattern(names: dict[str, Any], used: set[str]) -> str | None:
    if not used <= {"minLength", "maxLength"}:
        return None
    return rf"^[\s\S]{{{int(names.get('minLength', 0))},{int(names['maxLength']) if 'maxLength' in names else ''}}}$"


def _contains(value: Any, place: Place) -> Change | None:
    least, most = place.schema.get("minContains", 1), place.schema.get("maxContains")
    if least == 0 and (value is False or most is None):
        return _GONE
    if value is False or (most is not None and most < least):
        return Change((excluding("array"),))
    if value is True or value == {} or _is_every_item(value, place):
        return Change(({"minItems": least}, *(({"maxItems": most},) if most is not None else ())))
    if most == 0:
        opposite = place.logic.negated(value)
        return None if opposite is None else Change(({"items": opposite},))
    longest = place.rest.get("maxItems")
    if least != 1 or most is not None or longest is None or longest > _POSITIONS:
        return None
    found = [{"prefixItems": [*[True] * at, value], "minItems": at + 1} for at in range(int(longest))]
    return Change((any_of((excluding("array"), *found)) if not found else any_of(found),))


def _is_every_item(value: Any, place: Place) -> bool:
    key = place.logic.key
    return "prefixItems" not in place.rest and key(place.rest.get("items")) == key(value)


def _without_contains(value: Any, place: Place) -> Change | None:
    return None if "contains" in place.schema else _GONE


def _unique_items(value: Any, place: Place) -> Change | None:
    rest = place.rest
    if "array" not in types_of(rest):
        return _GONE
    first = [place.resolved(item) for item in rest.get("prefixItems", ())]
    longest = rest.get("maxItems", float("inf"))
    if rest.get("items") is False:
        longest = min(longest, len(first))
    if longest <= 1 or (longest <= len(first) and place.logic.pairwise_exclusive(first)):
        return _GONE
    choices = None if first else _choices(place.resolved(rest.get("items", True)), place.logic)
    if choices is None or len(choices) > _ARRAYS:
        return None
    lengths = range(int(rest.get("minItems", 0)), int(min(longest, len(choices))) + 1)
    every = chain.from_iterable(permutations(choices, length) for length in lengths)
    arrays = [list(array) for array in islice(every, _ARRAYS + 1)]
    place.logic.spend(sum(map(len, arrays)))
    if len(arrays) > _ARRAYS:
        return None
    others = [kind for kind in ("null", "boolean", "number", "string", "object") if kind in types_of(rest)]
    listed: Schema = {"enum": arrays} if arrays else False
    return Change((any_of((listed, *(({"type": others},) if others else ()))),))


def _choices(items: Schema, logic: Logic) -> list[Any] | None:
    """The few different values that an item may have."""
    if isinstance(items, dict) and items.get("type") == "boolean" and len(items) == 1:
        return [True, False]
    listed = values_of(items)
    if (
        listed is None
        or not isinstance(items, dict)
        or not items.keys() <= {"enum", "const", "type", "title", "description"}
    ):
        return None
    kinds = types_of({"type": items["type"]}) if "type" in items else None
    if kinds is not None and not types_of({"enum": listed}) <= kinds:
        return None
    different: dict[Hashable, Any] = {}
    for value in listed:
        different.setdefault(logic.key(value), value)
    return list(different.values())


def _one_of(value: Any, place: Place) -> Change | None:
    branches = [branch for branch in value if branch is not False]
    if len(branches) < 2:
        return Change((any_of(branches),))
    if place.logic.pairwise_exclusive([place.resolved(branch) for branch in branches], place.rest):
        return Change((any_of(branches),))
    if len(branches) > _BRANCHES:
        return None
    opposites = [place.logic.negated(place.resolved(branch), place.rest) for branch in branches]
    known = [opposite for opposite in opposites if opposite is not None]
    if len(known) < len(branches):
        return None
    return Change((any_of(all_of(branch, *known[:at], *known[at + 1 :]) for at, branch in enumerate(branches)),))


def _unevaluated_properties(value: Any, place: Place) -> Change | None:
    found = evaluated_properties(place.rest, place.resolved, place.logic.spend)
    if found is None or found == ALL:
        return _GONE if found == ALL else None
    names, patterns = found
    edits: dict[str, Any] = {"additionalProperties": value}
    for keyword, seen in (("properties", names), ("patternProperties", patterns)):
        own = place.rest.get(keyword, {})
        if more := {name: True for name in sorted(seen) if name not in own}:
            edits[keyword] = {**own, **more}
    return Change(edits=edits)


def _unevaluated_items(value: Any, place: Place) -> Change | None:
    count = evaluated_items(place.rest, place.resolved, place.logic.spend)
    if count is None or count == ALL:
        return _GONE if count == ALL else None
    own = list(place.rest.get("prefixItems", ()))
    first = [*own, *[True] * (int(count) - len(own))]
    return Change(edits={"items": value, **({"prefixItems": first} if first else {})})


Rule = Callable[[Any, Place], Change | None]
# In this order: what is evaluated is read from the other keywords as they were written.
RULES: Final[Mapping[str, Rule]] = {
    "unevaluatedProperties": _unevaluated_properties,
    "unevaluatedItems": _unevaluated_items,
    "if": _if,
    "then": _without_if,
    "else": _without_if,
    "not": _not,
    "oneOf": _one_of,
    "dependentRequired": _dependencies,
    "dependentSchemas": _dependencies,
    "dependencies": _dependencies,
    "propertyNames": _property_names,
    "contains": _contains,
    "minContains": _without_contains,
    "maxContains": _without_contains,
    "uniqueItems": _unique_items,
}
GROUPS: Final = {"if": ("if", "then", "else"), "contains": ("contains", "minContains", "maxContains")}
