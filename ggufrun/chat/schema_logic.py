"""Logic of JSON schemas: what both, either or the opposite of schemas allow, and whether two exclude each other.

Only what is provable from the keywords at hand; everything else is "not known".
"""

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Final

from ggufrun.chat.schema_keywords import ANNOTATIONS
from ggufrun.chat.schema_pointer import Schema

TYPES: Final = ("null", "boolean", "number", "string", "array", "object")
# keyword -> the type that it speaks of, and the keyword and number of its opposite
_OPPOSITES: Final = {
    "minimum": ("number", "exclusiveMaximum", 0),
    "maximum": ("number", "exclusiveMinimum", 0),
    "exclusiveMinimum": ("number", "maximum", 0),
    "exclusiveMaximum": ("number", "minimum", 0),
    "minLength": ("string", "maxLength", -1),
    "maxLength": ("string", "minLength", 1),
    "minItems": ("array", "maxItems", -1),
    "maxItems": ("array", "minItems", 1),
    "minProperties": ("object", "maxProperties", -1),
    "maxProperties": ("object", "minProperties", 1),
}
_WORK: Final = 500_000  # values that may be looked at for one document: about half a second


class TooMuch(Exception):
    """What would take too long to find out: it is not known either."""


def any_of(schemas: Iterable[Schema]) -> Schema:
    left = [schema for schema in schemas if schema is not False]
    if any(schema is True or schema == {} for schema in left):
        return True
    return {"anyOf": left} if len(left) > 1 else left[0] if left else False


def all_of(*schemas: Schema) -> Schema:
    left = [schema for schema in schemas if schema is not True and schema != {}]
    if any(schema is False for schema in left):
        return False
    return {"allOf": left} if len(left) > 1 else left[0] if left else True


def values_of(schema: Schema) -> list[Any] | None:
    """The values that `const` and `enum` leave; None where they do not say."""
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return [schema["const"]]
    listed = schema.get("enum")
    return listed if isinstance(listed, list) else None


def types_of(schema: Schema) -> frozenset[str]:
    """The types that a value may have; "integer" counts as "number"."""
    if not isinstance(schema, dict):
        return frozenset(TYPES if schema else ())
    if (values := values_of(schema)) is not None:
        return frozenset(map(type_of, values))
    given = schema.get("type", TYPES)
    listed = [given] if isinstance(given, str) else given
    return frozenset("number" if kind == "integer" else str(kind) for kind in listed)


_NAMES: Final = {type(None): "null", bool: "boolean", str: "string", list: "array", dict: "object"}


def type_of(value: Any) -> str:
    return _NAMES.get(type(value), "number")


def excluding(kind: str) -> Schema:
    """What allows every type but one."""
    return {"type": [name for name in TYPES if name != kind]}


class Logic:
    """The logic of one document. What takes too much work raises TooMuch, and everything after it."""

    def __init__(self, work: int = _WORK) -> None:
        self._left = work

    def spend(self, work: int) -> None:
        """Count values that are looked at, before they are."""
        self._left -= work
        if self._left < 0:
            raise TooMuch

    def key(self, value: Any) -> Hashable:
        """Equal for equal JSON only: 1 is 1.0 and not true."""
        self.spend(1)
        if isinstance(value, dict):
            return frozenset((name, self.key(below)) for name, below in value.items())
        if isinstance(value, list):
            return tuple(map(self.key, value))
        known: Hashable = (bool, value) if isinstance(value, bool) else value
        return known

    def keys(self, values: Iterable[Any]) -> frozenset[Hashable]:
        return frozenset(map(self.key, values))

    def negated(self, schema: Schema, known: Schema = True) -> Schema | None:
        """What allows exactly what `schema` does not, of the values that `known` allows; None where it is not known."""
        if isinstance(schema, bool):
            return not schema
        self.spend(1 + len(schema))
        opposites: list[Schema] = []
        for keyword, value in schema.items():
            if keyword in ANNOTATIONS:
                continue
            opposite = self._opposite(keyword, value, known)
            if opposite is None:
                return None
            opposites.append(opposite)
        if "properties" in schema and not {"additionalProperties", "patternProperties"}.isdisjoint(schema):
            return None
        return any_of(opposites)

    def _opposite(self, keyword: str, value: Any, known: Schema) -> Schema | None:
        """What allows all values that break the keyword."""
        match keyword:
            case "type":
                return _other_types(value)
            case "const" | "enum":
                return self._other_values([value] if keyword == "const" else value, known)
            case "not":
                return dict(value) if isinstance(value, dict) else bool(value)
            case "required" if isinstance(value, list):
                missing = any_of({"properties": {name: False}} for name in value)
                return all_of({"type": "object"}, missing)
            case "properties" if isinstance(value, dict):
                return self._other_properties(value, known)
            case "allOf" | "anyOf" if isinstance(value, list):
                opposites = [self.negated(part, known) for part in value]
                sure = [opposite for opposite in opposites if opposite is not None]
                if len(sure) < len(opposites):
                    return None
                return any_of(sure) if keyword == "allOf" else all_of(*sure)
        if keyword not in _OPPOSITES or isinstance(value, bool) or not isinstance(value, int | float):
            return None
        kind, opposite, step = _OPPOSITES[keyword]
        return {"type": kind, opposite: value + step} if value + step >= 0 or kind == "number" else False

    def _other_values(self, values: Any, known: Schema) -> Schema | None:
        if not isinstance(values, list):
            return None
        if (possible := values_of(known)) is not None:
            gone = self.keys(values)
            rest = [value for value in possible if self.key(value) not in gone]
            return {"enum": rest} if rest else False
        if not all(value is None or isinstance(value, bool) for value in values):
            return None
        truths = {value for value in values if isinstance(value, bool)}
        kinds = {type_of(value) for value in values}
        others: list[Schema] = [{"const": truth} for truth in {True, False} - truths] if truths else []
        return any_of([{"type": [name for name in TYPES if name not in kinds]}, *others])

    def _other_properties(self, properties: dict[str, Any], known: Schema) -> Schema | None:
        """Objects with a property that breaks its schema."""
        found: list[Schema] = []
        here = known.get("properties", {}) if isinstance(known, dict) else {}
        for name, schema in properties.items():
            opposite = self.negated(schema, here.get(name, True))
            if opposite is None:
                return None
            if opposite is not False:
                found.append({"type": "object", "required": [name], "properties": {name: opposite}})
        return any_of(found)

    def exclusive(self, one: Schema, other: Schema, known: Schema = True) -> bool:
        """Whether it is certain that nothing that `known` allows satisfies both."""
        if one is False or other is False:
            return True
        if one is True or other is True:
            return False
        self.spend(1 + sum(len(values_of(schema) or ()) for schema in (one, other, known)))
        shared = types_of(one) & types_of(other) & types_of(known)
        if not shared:
            return True
        mine, theirs = values_of(one), values_of(other)
        if mine is not None and theirs is not None:
            return self.keys(mine).isdisjoint(self.keys(theirs))
        if shared == {"number"}:
            return _apart(one, other) or _apart(other, one)
        return shared == {"object"} and (self._contradicts(one, other) or self._contradicts(other, one))

    def _contradicts(self, one: dict[str, Any], other: dict[str, Any]) -> bool:
        """Whether a property that `one` requires cannot be in `other` with such a value."""
        mine, theirs = one.get("properties", {}), other.get("properties", {})
        closed = other.get("additionalProperties") is False and not other.get("patternProperties")
        self.spend(len(one.get("required", ())))
        for name in one.get("required", ()):
            if name in theirs:
                if self.exclusive(mine.get(name, True), theirs[name]):
                    return True
            elif closed:
                return True
        return False

    def pairwise_exclusive(self, schemas: Sequence[Schema], known: Schema = True) -> bool:
        listed = [values for schema in schemas if (values := values_of(schema)) is not None]
        if len(listed) == len(schemas):
            keys = [self.keys(values) for values in listed]
            if len(frozenset().union(*keys)) == sum(map(len, keys)):
                return True
        return all(self.exclusive(one, other, known) for at, one in enumerate(schemas) for other in schemas[at + 1 :])


def _other_types(value: Any) -> Schema | None:
    given = [value] if isinstance(value, str) else list(value)
    if "integer" in given and "number" not in given:
        return None  # numbers with a fraction have no name
    if not {*TYPES, "integer"}.issuperset(given):
        return None
    return {"type": rest} if (rest := [name for name in TYPES if name not in given]) else False


def _apart(low: dict[str, Any], high: dict[str, Any]) -> bool:
    """Whether all numbers of one are below all of the other."""
    tops = [(low[key], key == "maximum") for key in ("maximum", "exclusiveMaximum") if _is_number(low.get(key))]
    ends = [(high[key], key == "minimum") for key in ("minimum", "exclusiveMinimum") if _is_number(high.get(key))]
    return any(top < end or (top == end and not (both and also)) for top, both in tops for end, also in ends)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
