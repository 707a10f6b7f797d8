"""POST /v1/schema/check over HTTP; no model is asked."""

import json
from typing import Any

import httpx
import pytest

from ggufrun.chat.types import ChatRequest, Started, TextDelta
from ggufrun.errors import SchemaNotSatisfied
from tests.api.scripted import PlayedModel, listening
from tests.schema_suite import cases

SCHEMA = {
    "type": "object",
    "properties": {
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "a/b": {"type": "string", "format": "iri"},
        "n": {"not": {"type": "string"}},
        "typo": {"minlength": 2},
    },
    "dependentRequired": {"n": ["tags"]},
}


async def check(client: httpx.AsyncClient, schema: Any, **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/schema/check", json={"schema": schema, **more})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_every_keyword_is_told() -> None:
    model = PlayedModel([])
    async with listening(model) as client:
        body = await check(client, SCHEMA)
        assert (body["strict"], body["usable"]) == (False, True)
        assert {each["pointer"] for each in body["rewritten"]} == {"/dependentRequired", "/properties/n/not"}
        refused = {each["pointer"]: each["reason"] for each in body["refused"]}
        unique, iri, typo = "/properties/tags/uniqueItems", "/properties/a~1b/format", "/properties/typo/minlength"
        assert set(refused) == {unique, iri, typo} and all(refused.values())
        assert body["checked_afterwards"] == [{"pointer": unique, "keyword": "uniqueItems"}]
        enforced = {each["pointer"] for each in body["enforced"]}
        assert {"/type", "/properties", "/properties/tags/items/type", "/properties/a~1b/type"} <= enforced
        assert not enforced & set(refused)
        assert (await check(client, SCHEMA, strict=True))["checked_afterwards"] == []
        assert (await check(client, {"type": "integer"}))["strict"] is True
    assert model.requests == []


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        (False, ""),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "/minLength"),
        ({"items": {"$ref": "https://example.org/x"}}, "/items/$ref"),
        ({"uniqueItems": True, "type": "strin"}, "/type"),
    ],
)
async def test_what_is_no_use_at_all(schema: Any, pointer: str) -> None:
    async with listening(PlayedModel([])) as client:
        body = await check(client, schema)
        assert (body["strict"], body["usable"]) == (False, False)
        assert pointer in [each["pointer"] for each in body["refused"]]


async def test_a_body_that_is_none_is_a_422() -> None:
    async with listening(PlayedModel([])) as client:
        for body in ({}, {"schema": 5}, {"schema": "x"}):
            assert (await client.post("/v1/schema/check", json=body)).status_code == 422


async def test_pointers_lead_into_the_schema_that_was_sent() -> None:
    async with listening(PlayedModel([])) as client:
        for case in cases()[::10]:
            body = await check(client, case.schema)
            for kind in ("enforced", "rewritten", "refused", "checked_afterwards"):
                for each in body[kind]:
                    found = case.schema
                    for part in each["pointer"].split("/")[1:]:
                        name = part.replace("~1", "/").replace("~0", "~")
                        found = found[int(name) if isinstance(found, list) else name]
                    assert each["pointer"].endswith(each["keyword"].replace("/", "~1")), json.dumps(each)


async def test_an_answer_that_breaks_its_schema_is_no_success() -> None:
    broken = SchemaNotSatisfied("/a: 1 is not unique", "[1, 1]", 3)
    request = {
        "messages": [{"role": "user", "content": "go"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"uniqueItems": True}}},
    }
    model = PlayedModel([Started(1, 100), TextDelta("[1, 1]"), broken])
    async with listening(model) as client:
        answer = await client.post("/v1/chat/completions", json=request)
        body = answer.json()
        assert (answer.status_code, body["code"], body["text"]) == (422, "schema_not_satisfied", "[1, 1]")
        streamed = (await client.post("/v1/chat/completions", json={**request, "stream": True})).text
    assert '"schema_not_satisfied"' in streamed and '"finish_reason": "stop"' not in streamed
    asked = [each for each in model.requests if isinstance(each, ChatRequest)]
    live, strict = [each.live for each in asked], [each.constraint.strict for each in asked if each.constraint]
    assert (live, strict) == ([False, True], [False, False])
