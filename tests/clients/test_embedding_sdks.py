"""Embeddings with all four SDKs, on a real server with a tiny BERT."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai as openai_sdk
import pytest
from mistralai.client import errors

from tests.api.served import Served, served
from tests.clients.node import run_node
from tests.clients.reach import FORMS, Form, Reach, mistral, openai

pytestmark = pytest.mark.model
TEXTS = ["the quick brown fox", "tea", "the quick brown fox"]
NODE = """
import assert from "node:assert/strict";
import { Mistral } from "@mistralai/mistralai";
import OpenAI from "openai";
const { ADDRESS, MODEL: model, TEXTS, EXPECTED } = process.env;
const [inputs, expected] = [JSON.parse(TEXTS), JSON.parse(EXPECTED)];
const close = (a, b) => a.length === b.length && a.every((value, at) => Math.abs(value - b[at]) < 1e-3);
const right = (each, at) => each.index === at && close(each.embedding, expected[at]);
const same = (data) => data.length === 3 && data.every(right);
const mistral = new Mistral({ apiKey: "local", serverURL: ADDRESS });
assert.ok(same((await mistral.embeddings.create({ model, inputs })).data));
const openai = new OpenAI({ apiKey: "local", baseURL: `${ADDRESS}/v1`, maxRetries: 0 });
for (const encoding_format of [undefined, "float", "base64"]) {
  const { data, usage } = await openai.embeddings.create({ model, input: inputs, encoding_format });
  assert.ok(usage.prompt_tokens > 0);
  if (encoding_format !== "base64") assert.ok(same(data), encoding_format);
}
console.log("fine");
"""


@pytest.fixture(scope="module")
def server(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tiny_model("bert-tiny"), tmp_path_factory.mktemp("embeddings")) as running:
        yield running


@pytest.fixture(scope="module")
def model(server: Served) -> str:
    name: str = server.client.get("/v1/models").json()["data"][0]["id"]
    return name


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Form:
    value: Form = request.param
    return value


@pytest.fixture
def of_mistral(server: Served, form: Form) -> Iterator[Reach]:
    with mistral(form, str(server.client.base_url).rstrip("/")) as reach:
        yield reach


@pytest.fixture
def of_openai(server: Served, form: Form) -> Iterator[Reach]:
    with openai(form, str(server.client.base_url).rstrip("/")) as reach:
        yield reach


def vectors(answer: Any) -> list[list[float]]:
    assert [each.index for each in answer.data] == list(range(len(answer.data)))
    found = [list(each.embedding) for each in answer.data]
    assert all(abs(sum(value * value for value in vector) - 1) < 1e-3 for vector in found)
    return found


def test_texts(of_mistral: Reach, of_openai: Reach, model: str) -> None:
    answer = of_mistral.call("embeddings.create", model=model, inputs=TEXTS)
    first, second, third = vectors(answer)
    assert first == pytest.approx(third, abs=1e-3) and first != pytest.approx(second, abs=1e-2)
    assert answer.id and answer.usage.prompt_tokens == answer.usage.total_tokens > 0
    for more in ({}, {"encoding_format": "float"}):  # without, the SDK asks for base64 and reads it
        other = of_openai.call("embeddings.create", model=model, input=TEXTS, **more)
        assert vectors(other)[0] == pytest.approx(first, abs=1e-3)
    (lone,) = vectors(of_openai.call("embeddings.create", model=model, input=TEXTS[1]))
    assert lone == pytest.approx(second, abs=1e-3)


def test_what_is_refused(of_mistral: Reach, of_openai: Reach, model: str) -> None:
    with pytest.raises(errors.MistralError) as empty:
        of_mistral.call("embeddings.create", model=model, inputs=[])
    assert empty.value.status_code in (400, 422)
    with pytest.raises(errors.MistralError) as chat:
        of_mistral.call("chat.complete", model=model, messages=[{"role": "user", "content": "hi"}])
    assert chat.value.status_code in (400, 422)
    with pytest.raises(openai_sdk.APIStatusError) as long:
        of_openai.call("embeddings.create", model=model, input="tea " * 2000)
    assert long.value.status_code == 400 and "2" in long.value.message


def test_in_node(server: Served, model: str) -> None:
    address = str(server.client.base_url).rstrip("/")
    body = {"model": model, "input": TEXTS}
    expected = [each["embedding"] for each in server.client.post("/v1/embeddings", json=body).json()["data"]]
    texts = json.dumps(TEXTS)
    assert run_node(NODE, ADDRESS=address, MODEL=model, TEXTS=texts, EXPECTED=json.dumps(expected)) == "fine\n"
