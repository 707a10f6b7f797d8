"""Rewriting keywords that no grammar can enforce: nothing that was valid becomes invalid, and the other way round."""

import json
import random
import time
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from referencing import Registry

from ggufrun.chat.schema_logic import Logic
from ggufrun.chat.schema_plan import SchemaPlan, plan_schema
from ggufrun.chat.schema_references import localised
from ggufrun.chat.schema_report import _complaint, schema_report
from ggufrun.chat.schema_rewrite import rewrite
from ggufrun.errors import SchemaError
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
    """105 of its schemas are rewritten; each is asked about all instances of the suite."""
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
        assert Logic().negated(schema) is None
    assert Logic().negated({"const": 1.0}, {"enum": [1, True, 2]}) == {"enum": [True, 2]}


def test_what_may_overlap_is_not_exclusive() -> None:
    assert not Logic().exclusive({"type": "number"}, {"type": "integer"})
    assert not Logic().exclusive({"const": 1}, {"const": 1.0})
    assert Logic().exclusive({"const": 1}, {"const": True})
    loose = [{key: value for key, value in each.items() if key != "type"} for each in (CAT, DOG)]
    assert not Logic().exclusive(loose[0], loose[1])  # both take every number
    assert Logic().exclusive(loose[0], loose[1], known={"type": "object"})


def planned(schema: Any) -> SchemaPlan:
    return plan_schema(json.loads(json.dumps(schema)), _complaint)


def test_no_array_is_valid_where_none_may_have_what_each_must() -> None:
    for contains in ({"contains": STRING, "maxContains": 0}, {"contains": {}, "minContains": 2, "maxContains": 1}):
        assert differing(contains, rewrite(contains).schema, INSTANCES) == []
        with pytest.raises(SchemaError, match="nothing can satisfy it"):
            planned({"type": "array", **contains})


DRAFT_4, DRAFT_6, DRAFT_7 = (f"http://json-schema.org/draft-0{number}/schema#" for number in (4, 6, 7))


@pytest.mark.parametrize("version", [DRAFT_4, DRAFT_6, DRAFT_7])
def test_older_drafts_see_nothing_beside_a_reference(version: str) -> None:
    beside = {"$ref": "#/definitions/x", "type": "string", "description": "any", "definitions": {"y": {}}}
    schema = {"$schema": version, "definitions": {"x": {}}, "oneOf": [beside, {"type": "number"}]}
    plan = planned(schema)
    assert plan.refused == ()
    assert not validator(plan.enforced).is_valid(1)  # of both branches
    report = schema_report({"$schema": version, **beside, "definitions": {"x": STRING}})
    assert report.strict
    assert [each.pointer for each in report.enforced] == ["/$ref", "/definitions/x/type"]
    newer = {**beside, "$schema": "https://json-schema.org/draft/2019-09/schema", "definitions": {"x": {}}}
    assert [each.pointer for each in schema_report(newer).enforced] == ["/$ref", "/type"]


@pytest.mark.parametrize(
    ("version", "strange"),
    [
        (DRAFT_4, {"anyOf": [{"const": True}, STRING]}),
        (DRAFT_4, {"contains": True}),
        (DRAFT_6, {"contains": STRING, "minContains": 0}),
        (DRAFT_6, {"if": False, "else": STRING}),
        (DRAFT_7, {"contains": True, "maxContains": 2}),
        (DRAFT_7, {"dependentRequired": {"a": ["b"]}}),
        (DRAFT_7, {"unevaluatedProperties": False}),
    ],
)
def test_keywords_that_a_draft_does_not_have_are_refused_and_ask_for_nothing(version: str, strange: Any) -> None:
    plan = planned({"$schema": version, **strange})
    assert "this version of JSON Schema does not have it" in plan.refused[0].reason
    judge = validator_for({"$schema": version})
    lost = [each for each in INSTANCES if judge(strange).is_valid(each) and not validator(plan.enforced).is_valid(each)]
    assert lost == []


def test_what_is_referred_to_stays_where_it_is() -> None:
    for schema, keyword in (
        ({"if": {"properties": {"a": {"const": True}}}, "then": STRING, "properties": {"n": {"$ref": "#/then"}}}, "if"),
        ({"contains": True, "minContains": 1, "items": {"$ref": "#/contains"}}, "contains"),
        ({"propertyNames": {"const": "b"}, "properties": {"a": STRING, "b": {"$ref": "#/properties/a"}}}, "properties"),
        ({"propertyNames": {"maxLength": 1}, "properties": {"foo": STRING, "b": {"$ref": "#/properties/foo"}}}, "x"),
        ({"propertyNames": {"const": "b"}, "additionalProperties": STRING, "anyOf": [_ADDITIONAL, INTEGER]}, "x"),
    ):
        changed = rewrite(json.loads(json.dumps(schema))).schema
        assert differing(schema, changed, INSTANCES) == [], keyword
    kept = {"propertyNames": {"const": "b"}, "properties": {"a": STRING, "b": STRING, "c": {"$ref": "#/properties/b"}}}
    assert planned(kept).refused == ()  # only what becomes false would be missed


_ADDITIONAL = {"$ref": "#/additionalProperties"}


def test_what_need_not_be_there_may_be_impossible() -> None:
    never = {"x": {"anyOf": [STRING], "type": "array"}}
    refer = {"$ref": "#/$defs/x"}
    for schema, instance in (
        ({"type": "object", "properties": {"a": {"type": "array", "items": refer, "maxItems": 2}}}, {"a": []}),
        ({"anyOf": [refer, STRING]}, "a"),
        ({"type": ["object", "null"], "required": ["a"], "properties": {"a": refer}}, None),
        ({"prefixItems": [True, refer], "minItems": 1}, [1]),
        ({"type": "object", "properties": {"a": refer, "b": refer}}, {}),
    ):
        assert validator({**schema, "$defs": never}).is_valid(instance)
        report = schema_report({**schema, "$defs": never})
        assert report.usable
        assert not report.strict
        assert report.refused[0].reason.startswith("nothing can satisfy it")


def test_what_has_to_be_there_may_not_be_impossible() -> None:
    never = {"x": {"anyOf": [STRING], "type": "array"}}
    refer = {"$ref": "#/$defs/x"}
    for schema in (
        refer,
        {"allOf": [{"anyOf": [refer]}]},
        {"type": "object", "required": ["a"], "properties": {"a": refer}},
        {"type": "array", "minItems": 2, "prefixItems": [True], "items": refer},
        {"type": "object", "required": ["a"], "properties": {"b": True}, "additionalProperties": False},
    ):
        report = schema_report({**schema, "$defs": never})
        assert not report.usable
        assert "nothing can satisfy it" in report.refused[0].reason


def test_large_schemas_are_rewritten_in_seconds() -> None:
    """With every value compared to every other, these took minutes."""
    values = [f"v{number}" for number in range(20_000)]
    many = [{"const": number} for number in range(5_000)]
    for schema, rewritten in (
        ({"oneOf": [{"enum": values[at : at + 2_000]} for at in range(0, 20_000, 2_000)]}, True),
        ({"oneOf": [{"enum": values[at : at + 2_000], "type": "string"} for at in range(0, 20_000, 1_000)]}, False),
        ({"uniqueItems": True, "items": {"enum": values}}, False),
        ({"enum": values[:10_000], "not": {"enum": values[5_000:]}}, True),
        ({"enum": values, "not": {"anyOf": many}}, False),  # 100 million comparisons
        ({"propertyNames": {"enum": values}, "properties": dict.fromkeys(values[10_000:], True)}, True),
    ):
        started = time.thread_time()
        assert bool(rewrite(schema).pointers) is rewritten, list(schema)
        assert time.thread_time() - started < 4, list(schema)  # it takes half a second


def test_a_chain_of_references_does_not_end_the_process() -> None:
    for length, usable in ((300, True), (10_000, False)):
        chain: Any = {f"x{at}": {"properties": {"a": {"$ref": f"#/$defs/x{at + 1}"}}} for at in range(length)}
        report = schema_report({"$ref": "#/$defs/x0", "$defs": {**chain, f"x{length}": STRING}})
        assert report.usable is usable
    circle = {**chain, f"x{length}": {"$ref": "#/$defs/x0"}}
    assert "deeper than 800" in schema_report({"$ref": "#/$defs/x0", "$defs": circle}).refused[0].reason
    wide = {f"p{at}": {"$ref": "#/$defs/x0"} for at in range(1_500)}
    assert schema_report({"properties": wide, "$defs": {"x0": {"items": {"$ref": "#/$defs/x0"}}}}).strict
