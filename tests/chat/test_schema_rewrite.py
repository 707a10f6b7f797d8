"""Rewriting keywords that no grammar can enforce: nothing that was valid becomes invalid, and the other way round."""

import json
import random
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry

from ggufrun.chat.schema_logic import exclusive, negated
from ggufrun.chat.schema_references import localised
from ggufrun.chat.schema_report import schema_report
from ggufrun.chat.schema_rewrite import rewrite
from tests.schema_suite import cases

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
CAT = {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"minimum": 1}}, "required": ["kind"]}
DOG = {"type": "object", "properties": {"kind": {"const": "dog"}}, "required": ["kind"]}
REWRITTEN: list[Any] = [
    {"not": False},
    {"not": {"type": ["string", "null"]}},
    {"not": {"not": {"minLength": 2}}},
    {"enum": [1, 2, "a"], "not": {"const": 1}},
    {"type": "object", "not": {"required": ["a", "b"]}},
    {"not": {"anyOf": [{"type": "array"}, {"const": True}]}},
    {"not": {"allOf": [{"minimum": 2}, {"type": "number"}]}},
    {"not": {"properties": {"a": {"maxLength": 1}}}},
    {"if": {"minimum": 3}},
    {"then": False},
    {"if": {"type": "string"}, "then": {"minLength": 2}},
    {"if": {"type": "string"}, "else": {"minimum": 2}},
    {"if": {"exclusiveMaximum": 0}, "then": {"minimum": -10}, "else": {"multipleOf": 2}},
    {
        "type": "object",
        "properties": {"kind": {"enum": ["a", "b"]}},
        "required": ["kind"],
        "if": {"properties": {"kind": {"const": "a"}}},
        "then": {"required": ["b"]},
        "else": {"properties": {"b": False}},
    },
    {"dependentRequired": {"a": ["b"], "b": []}},
    {"dependentSchemas": {"a": {"required": ["b"]}, "foo": False}},
    {"$schema": "http://json-schema.org/draft-07/schema#", "dependencies": {"a": ["b"], "b": {"maxProperties": 1}}},
    {"propertyNames": {"pattern": "^[ab]$"}},
    {"propertyNames": {"maxLength": 1}, "properties": {"a": INTEGER, "foo": STRING}},
    {"propertyNames": {"enum": ["a", "b"]}, "additionalProperties": INTEGER},
    {"propertyNames": False},
    {"contains": True},
    {"contains": {"const": 1}, "minContains": 0},
    {"contains": {"type": "string"}, "maxItems": 2},
    {"contains": False},
    {"contains": {"type": "string"}, "minContains": 0, "maxContains": 0},
    {"items": INTEGER, "contains": INTEGER, "minContains": 2, "maxContains": 3},
    {"minContains": 2},
    {"uniqueItems": True, "maxItems": 1},
    {"uniqueItems": True, "items": {"enum": ["a", "b", 1]}, "minItems": 1},
    {"type": "array", "uniqueItems": True, "items": {"type": "boolean"}},
    {"uniqueItems": True, "prefixItems": [STRING, INTEGER], "items": False},
    {"type": "object", "uniqueItems": True},
    {"oneOf": [STRING, INTEGER]},
    {"oneOf": [CAT, DOG]},
    {"oneOf": [{"minimum": 2}, {"type": "string"}]},
    {"oneOf": [{"type": "number", "maximum": 1}, {"type": "number", "exclusiveMinimum": 1}]},
    {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"oneOf": [{"$ref": "#/$defs/s"}, {"type": "null"}], "$defs": {"s": STRING}},
    {"properties": {"a": STRING}, "unevaluatedProperties": False},
    {"properties": {"a": STRING}, "allOf": [{"properties": {"b": True}}], "unevaluatedProperties": INTEGER},
    {"allOf": [{"unevaluatedProperties": True}], "unevaluatedProperties": False},
    {"$ref": "#/$defs/a", "unevaluatedProperties": False, "$defs": {"a": {"properties": {"a": True}}}},
    {"prefixItems": [STRING], "allOf": [{"prefixItems": [True, INTEGER]}], "unevaluatedItems": False},
    {"allOf": [{"items": INTEGER}], "unevaluatedItems": False},
    {"$ref": "#foo", "$defs": {"A": {"$anchor": "foo", "type": "integer"}}},
    {"$id": "http://example.org/a", "$ref": "b", "$defs": {"B": {"$id": "b", "type": "string"}}},
]
INSTANCES: list[Any] = [
    *(None, True, False, 0, 1, 1.0, 2, 2.5, -3, -20, "", "a", "ab", "abc", "dog"),
    *([], [1], ["a"], [1, "a"], ["a", 1], [1, 1], ["a", "a"], [1, 2, 3], [1, 2, 3, 4], [True, False], [True, True]),
    *([1, "a", "b"], ["b", "a", 1], ["b", "b", 1]),
    *({}, {"a": 1}, {"a": "x"}, {"a": "long", "b": 2}, {"b": 1}, {"b": 1, "c": 1}, {"foo": "x"}, {"foo": 1, "a": 1}),
    *(
        {"kind": "cat", "lives": 0},
        {"kind": "cat"},
        {"kind": "dog"},
        {"kind": "a"},
        {"kind": "a", "b": 1},
        {"kind": "b"},
    ),
    *({"kind": "b", "b": 1}, {"kind": 5}),
]


def validator(schema: Any) -> Draft202012Validator:
    return Draft202012Validator(schema, registry=Registry())


def differing(one: Any, other: Any, instances: list[Any]) -> list[Any]:
    before, after = validator(one), validator(other)
    return [each for each in instances if before.is_valid(each) != after.is_valid(each)]


@pytest.mark.parametrize("schema", REWRITTEN, ids=json.dumps)
def test_what_is_rewritten_can_be_enforced_and_means_the_same(schema: Any) -> None:
    given = json.loads(json.dumps(schema))
    report = schema_report(given)
    assert report.strict, report.refused
    same = {key: value for key, value in schema.items() if key not in ("$schema", "dependencies")}
    if "dependencies" in schema:  # what it is called since 2019
        same |= {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"b": {"maxProperties": 1}}}
    assert differing(same, {**_dict(rewrite(localised(given)).schema), "$schema": _2020}, INSTANCES) == []


_2020 = "https://json-schema.org/draft/2020-12/schema"


def _dict(schema: Any) -> dict[str, Any]:
    assert isinstance(schema, dict)
    return schema


def test_the_whole_suite_means_the_same_when_rewritten() -> None:
    """122 of its schemas are rewritten; each is asked about all instances of the suite."""
    every = list({json.dumps(each): each for case in cases() for each, _ in case.instances}.values())
    some = random.Random(1).sample(every, 60)
    count = 0
    for case in cases():
        if any(name in case.name for name in ("refRemote", "dynamicRef", "vocabulary", "defs")):
            continue  # they refer to what is elsewhere
        changed = rewrite(localised(case.fresh())).schema
        if changed == case.schema or "unevaluated" in json.dumps(changed):  # the latter are refused
            continue
        try:
            assert differing(case.schema, changed, [*some, *(each for each, _ in case.instances)]) == [], case.name
        except Exception as error:
            assert type(error).__name__.endswith("Unresolvable"), (case.name, error)  # a reference to the metaschema
        count += 1
    assert count >= 100


def test_where_nothing_is_certain_nothing_is_rewritten() -> None:
    for schema in (
        {"not": {"type": "integer"}},
        {"not": {"pattern": "a"}},
        {"if": {"pattern": "a"}, "then": {"minLength": 2}},
        {"contains": {"type": "string"}},
        {"uniqueItems": True},
        {"uniqueItems": True, "items": {"enum": list(range(9))}},
        {"oneOf": [{"pattern": "a"}, {"pattern": "b"}]},
        {"anyOf": [{"properties": {"a": True}}, True], "unevaluatedProperties": False},
        {"if": {"properties": {"a": {"const": 1}}}, "unevaluatedProperties": False},
        {"$schema": "https://json-schema.org/draft/2019-09/schema", "items": [True], "unevaluatedItems": False},
        {"propertyNames": {"pattern": "a"}, "patternProperties": {"b": True}},
        {"$ref": "#/not", "not": {"type": "string"}},
    ):
        report = schema_report(json.loads(json.dumps(schema)))
        assert report.usable and not report.strict, schema


def test_nothing_satisfies_some() -> None:
    for schema, pointer in (
        ({"not": {}}, "/not"),
        ({"oneOf": [True, True]}, "/oneOf"),
        ({"if": True, "then": False}, "/if"),
    ):
        report = schema_report(json.loads(json.dumps(schema)))
        assert not report.usable
        assert [each.pointer for each in report.refused] == [pointer]


def test_opposites_that_have_no_name_are_not_known() -> None:
    for schema in ({"type": "integer"}, {"const": "a"}, {"multipleOf": 2}, {"$ref": "#"}, {"items": {"type": "null"}}):
        assert negated(schema) is None
    assert negated({"const": 1.0}, {"enum": [1, True, 2]}) == {"enum": [True, 2]}


def test_what_may_overlap_is_not_exclusive() -> None:
    assert not exclusive({"type": "number"}, {"type": "integer"})
    assert not exclusive({"const": 1}, {"const": 1.0})
    assert exclusive({"const": 1}, {"const": True})
    loose = [{key: value for key, value in each.items() if key != "type"} for each in (CAT, DOG)]
    assert not exclusive(loose[0], loose[1])  # both take every number
    assert exclusive(loose[0], loose[1], known={"type": "object"})
