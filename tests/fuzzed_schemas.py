"""Random JSON schemas that no one would write, with all keywords of all drafts, and random values for them. Seeded."""

import random
from collections.abc import Callable
from typing import Any, Final

from ggufrun.chat.schema_keywords import DRAFTS, SINCE

VERSIONS: Final = {
    number: f"http{'s' if number > 7 else ''}://json-schema.org{ending}" for ending, number in DRAFTS.items()
}
_NAMES: Final = ("a", "b", "cc")
_TYPES: Final = ("null", "boolean", "number", "integer", "string", "array", "object")
_SIMPLE: Final[tuple[Any, ...]] = (None, True, False, 0, 1, 2, 3, 1.5, -1, "", "a", "b", "ab", "abc", [], {}, 1.0)
_REFERENCES: Final = (
    "$defs/x",
    "$defs/y",
    "properties/a",
    "oneOf/0",
    "not",
    "then",
    "prefixItems/0",
    "additionalProperties",
)
_OFTEN: Final = {"$ref": 4, "oneOf": 3, "not": 3, "contains": 4, "if": 2, "uniqueItems": 2, "propertyNames": 3}
_OF_NAMES: Final[tuple[Any, ...]] = (
    *({"enum": ["a"]}, {"type": "string", "enum": ["a", "b"]}, {"const": "b"}, {"minLength": 2}, {"maxLength": 1}),
    *({"pattern": "^a"}, {"pattern": "c"}, {"type": "string"}, True, False, {"not": {"const": "a"}}),
)


def fuzzed_value(rng: random.Random, depth: int = 3) -> Any:
    kind = rng.random()
    if depth == 0 or kind < 0.6:
        return rng.choice(_SIMPLE)
    if kind < 0.8:
        return [fuzzed_value(rng, depth - 1) for _ in range(rng.randint(0, 3))]
    return {name: fuzzed_value(rng, depth - 1) for name in _NAMES if rng.random() < 0.5}


def fuzzed_schema(rng: random.Random, version: int = 2020) -> dict[str, Any]:
    """A whole document. Now and then it has keywords that its draft does not."""
    schema = _Fuzzer(rng, version).schema(rng.choice((1, 2, 2, 3)))
    document = {**schema, "$defs": {name: _Fuzzer(rng, version).any(1) for name in ("x", "y")}}
    return document if version == 2020 and rng.random() < 0.8 else {"$schema": VERSIONS[version], **document}


class _Fuzzer:
    def __init__(self, rng: random.Random, version: int) -> None:
        self._rng, self._version = rng, version

    def any(self, depth: int) -> Any:
        if self._rng.random() < 0.08 and self._version > 4:
            return self._rng.choice((True, False, {}))
        return self.schema(depth) if depth else self._leaf()

    def schema(self, depth: int) -> dict[str, Any]:
        rng = self._rng
        made = self._makers(depth - 1)
        strange = rng.random() < 0.05
        known = [keyword for keyword in made if strange or SINCE.get(keyword, 0) <= self._version]
        weights = [_OFTEN.get(keyword, 1) for keyword in known]
        keywords = rng.choices(known, weights, k=rng.randint(1, 4))
        for keyword, others in (
            ("if", ("then", "else")),
            ("contains", ("maxContains", "minContains")),
            ("uniqueItems", ("items",)),
        ):
            if keyword in keywords and rng.random() < 0.5:
                keywords += [other for other in others if other in known]
        kind = {"type": self._type()} if rng.random() < 0.5 else {}
        return kind | {keyword: made[keyword]() for keyword in keywords}

    def _type(self) -> Any:
        rng = self._rng
        return rng.choice(("array", "object")) if rng.random() < 0.5 else rng.choice((*_TYPES, ["string", "null"]))

    def _leaf(self) -> dict[str, Any]:
        rng = self._rng
        small: tuple[dict[str, Any], ...] = (
            *({"type": rng.choice(_TYPES)}, {"type": self._type()}, {"enum": self._values()}, {"minimum": 1}),
            *({"type": "number", "maximum": rng.randint(-1, 3)}, {"minLength": 2}, {"required": [rng.choice(_NAMES)]}),
        )
        return rng.choice((*small, {"const": fuzzed_value(rng, 1)}) if self._version > 4 else small)

    def _values(self) -> list[Any]:
        found: list[Any] = []
        for value in (fuzzed_value(self._rng, 1) for _ in range(self._rng.randint(1, 3))):
            found += [value] if all(value != other for other in found) else []
        return found

    def _makers(self, depth: int) -> dict[str, Callable[[], Any]]:
        rng = self._rng

        def below() -> Any:
            return self.any(depth)

        def several(most: int = 3) -> list[Any]:
            return [below() for _ in range(rng.randint(1, most))]

        def count(most: int) -> Callable[[], int]:
            return lambda: rng.randint(0, most)

        def items() -> Any:
            if rng.random() < 0.3:
                return {"enum": [1, True, "a"][: rng.randint(1, 3)]}
            return several(2) if self._version < 2020 and rng.random() < 0.3 else below()

        def named() -> dict[str, Any]:
            return {name: below() for name in rng.sample(_NAMES, rng.randint(1, 2))}

        def names() -> list[str]:
            return rng.sample(_NAMES, rng.randint(1, 2))

        made: dict[str, Callable[[], Any]] = {
            **dict.fromkeys(("oneOf", "anyOf", "allOf", "prefixItems"), several),
            **dict.fromkeys(("not", "if", "then", "else", "contains", "additionalProperties"), below),
            **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), lambda: rng.choice((False, True, below()))),
            **dict.fromkeys(("minContains", "maxContains", "minItems", "minProperties", "minLength"), count(2)),
            **dict.fromkeys(("maxItems", "maxProperties", "maxLength", "minimum", "maximum"), count(3)),
            **dict.fromkeys(("properties", "dependentSchemas"), named),
            "dependentRequired": lambda: {name: names() for name in names()},
            "required": names,
            "items": items,
            "patternProperties": lambda: {rng.choice(("^a", "c", ".*", "^b$")): below()},
            "propertyNames": lambda: rng.choice(_OF_NAMES),
            "uniqueItems": lambda: rng.random() < 0.8,
            "enum": self._values,
            "const": lambda: fuzzed_value(rng, 2),
            "$ref": lambda: f"#/{rng.choice(_REFERENCES)}",
        }
        if self._version < 2020:
            made["additionalItems"] = below
        if self._version <= 7:
            made["dependencies"] = lambda: {rng.choice(_NAMES): rng.choice((names, below))()}
        return made
