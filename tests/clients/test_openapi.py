"""/openapi.json and /docs as API clients and browsers read them, and requests that schemathesis makes up from it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi import checks

from ggufrun.api.app import create_app
from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.manage.metrics import Metrics
from ggufrun.chat.compile import Compiler
from ggufrun.chat.constraints import GrammarFactory
from ggufrun.chat.local import LocalChatModel
from ggufrun.chat.templated import TemplateEncoder
from ggufrun.chat.types import ModelInfo
from ggufrun.engine.types import FinishReason
from ggufrun.pool.served import OneModel
from ggufrun.records.chats import ChatStore
from ggufrun.records.keys import KeyStore
from ggufrun.records.ledger import Ledger
from tests.api.scripted import client_of
from tests.api.test_shadows import shadow_desk
from tests.chat.test_templated import HERMES
from tests.fakes import FakeService, FakeVocabulary

MODEL = "fake"
SPECIALS = ("<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
GENERATING = ("/v1/chat/completions", "/v1/fim/completions", "/v1/completions", "/v1/messages", "/v1/responses")


def chat_model() -> LocalChatModel:
    """All of a model but its weights: a real chat template, real grammars, and "fine" as every answer."""
    vocabulary = FakeVocabulary(SPECIALS)
    service = FakeService([tuple(b"fine"), FinishReason.STOP])
    encoder = TemplateEncoder(vocabulary, HERMES)
    compiler = Compiler(vocabulary, encoder, GrammarFactory(vocabulary), service.context)
    return LocalChatModel(ModelInfo(MODEL, 4096, 4096, len(vocabulary), 0, "fake"), vocabulary, compiler, service)


class Open:
    """The application with keys and a ledger, and its document."""

    def __init__(self, folder: Path) -> None:
        self.keys, self.ledger = KeyStore(folder / "keys.db"), Ledger(folder / "ledger.db")
        self.chats = ChatStore(folder / "chats.db")
        self.headers = {"Authorization": f"Bearer {self.keys.add('root', scope='admin')}"}
        settings = ServerSettings(allowed_hosts=("testserver",))  # what schemathesis calls it
        self.app = create_app(
            Gateway(
                OneModel(chat_model()),
                settings,
                Metrics(),
                self.keys,
                self.ledger,
                chats=self.chats,
                shadows=shadow_desk(folder),
            )
        )
        self.schema: BaseSchema = schemathesis.openapi.from_asgi("/openapi.json", self.app)
        self.document: dict[str, Any] = dict(self.schema.raw_schema)

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                yield method, path, operation


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    opened = Open(tmp_path_factory.mktemp("openapi"))
    yield opened
    opened.chats.close()
    opened.ledger.close()
    opened.keys.close()


def test_the_document_is_valid_and_says_how_to_authorize(api: Open) -> None:
    api.schema.validate()
    assert api.document["openapi"].startswith("3.1") and api.document["info"]["title"] == "ggufrun"
    schemes = api.document["components"]["securitySchemes"]
    bearer = [name for name, scheme in schemes.items() if (scheme["type"], scheme.get("scheme")) == ("http", "bearer")]
    for method, path, operation in api.operations():
        assert operation.get("summary") and operation.get("tags"), path
        if path != "/health":
            assert [bearer[0]] in [list(each) for each in operation["security"]], (method, path)
    ids = [operation["operationId"] for _, _, operation in api.operations()]
    assert len(set(ids)) == len(ids)


def test_every_route_that_generates_documents_its_errors(api: Open) -> None:
    for path in GENERATING:
        responses = api.document["paths"][path]["post"]["responses"]
        assert {"200", "400", "401", "403", "413", "422", "429", "500", "503"} <= set(responses), path
        assert "text/event-stream" in responses["200"]["content"], path
        assert {"x-ggufrun-engine", "x-ggufrun-why"} <= responses["200"]["headers"].keys(), path
        for status, response in responses.items():
            assert response["content"]["application/json"]["schema"].get("$ref"), (path, status)


def test_requests_that_may_escalate_document_the_header(api: Open) -> None:
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses"):
        parameters = api.document["paths"][path]["post"]["parameters"]
        assert ("x-ggufrun-escalate", "header") in [(each["name"], each["in"]) for each in parameters], path


def test_the_document_says_what_stands_in_front_of_the_routes(api: Open) -> None:
    assert api.document["servers"] == [{"url": "/"}]
    for method, path, operation in api.operations():
        assert {"403", "500"} <= set(operation["responses"]), path
        assert ("413" in operation["responses"]) == (method in ("post", "put", "patch")), path
        keys = [name for each in operation.get("security", ()) for name in each]
        assert ("APIKeyHeader" in keys) == path.startswith("/v1/messages"), path
    assert "422" not in api.document["paths"]["/v1/models/{id}"]["get"]["responses"]
    assert "HTTPValidationError" not in json.dumps(api.document)


def test_every_error_has_an_example_of_its_own(api: Open) -> None:
    for _, path, operation in api.operations():
        errors = [response for status, response in operation["responses"].items() if int(status) >= 400]
        said = [json.dumps(error["content"]["application/json"]["example"]) for error in errors]
        assert len(set(said)) == len(said), path
        assert all(("temperature is 3.0" in each) == ("must be from 0 to 2" in each) for each in said)


async def test_under_a_proxys_path_the_document_names_it() -> None:
    gateway = Gateway(OneModel(chat_model()), ServerSettings(root_path="/models"), Metrics())
    async with client_of(create_app(gateway)) as client:
        assert (await client.get("/models/openapi.json")).json()["servers"] == [{"url": "/models"}]


def test_the_examples_are_valid(api: Open) -> None:
    registry: Registry[Any] = Registry().with_resource("openapi", DRAFT202012.create_resource(api.document))

    def check(example: Any, pointer: str) -> None:
        Draft202012Validator({"$ref": f"openapi#{pointer}"}, registry=registry).validate(example)

    checked = 0
    for name, schema in api.document["components"]["schemas"].items():
        for example in (*schema.get("examples", ()), *([schema["example"]] if "example" in schema else ())):
            check(example, f"/components/schemas/{name}")
            checked += 1
    for method, path, operation in api.operations():
        for status, response in operation["responses"].items():
            media = response.get("content", {}).get("application/json", {})
            if "example" in media:
                part = quote(path.replace("/", "~1"))
                at = f"/paths/{part}/{method}/responses/{status}/content/application~1json/schema"
                check(media["example"], at)
                checked += 1
    assert checked > 30


async def test_the_page_asks_nobody_else(api: Open) -> None:
    async with client_of(api.app) as client:
        page = await client.get("/docs")
        links = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)""", page.text)
        assert page.status_code == 200 and any(link.endswith("/openapi.json") for link in links)
        for link in links:
            assert not re.match("(https?:)?//(?!127.0.0.1/)", link), link
            if not link.startswith("data:"):
                assert (await client.get(link)).status_code == 200, link


BROKEN = {
    "nothing": b"",
    "not JSON": b"{",
    "no object": b"[]",
    "null": b"null",
    "nested for ever": b"[" * 100_000,
    "not UTF-8": b'{"model": "fake", "messages": [{"role": "user", "content": "\xff"}]}',
    "a huge number": b'{"model": "fake", "max_tokens": ' + b"9" * 5000 + b"}",
}
HALVES = (
    {"messages": [{"role": "user", "content": "cut \ud83d"}], "prompt": "\ud83d", "input": "\ud83d", "schema": {}},
    {"messages": [{"role": "user", "content": "hi"}], "prompt": "hi", "input": "hi", "schema": {"enum": ["\ud83d"]}},
    {"model": "\ud83d", "messages": [], "prompt": "", "input": "", "schema": {"\ud83d": 1}, "\ud83d": 1},
    {"messages": [{"role": "\ud83d", "content": "hi", "name": "\ud83d"}], "prompt": "hi", "stop": "\ud83d"},
    {"messages": [{"role": "user", "content": "hi"}], "tools": [{"type": "function", "function": {"name": "\ud83d"}}]},
)


async def test_what_is_no_request_is_refused(api: Open) -> None:
    """Not even a text that was cut in the middle of a character is a fault of the server's."""
    headers = api.headers | {"content-type": "application/json"}
    bodies = [*BROKEN.values(), *(json.dumps({"model": MODEL, **each}).encode() for each in HALVES)]
    async with client_of(api.app) as client:
        for method, path, _ in api.operations():
            for body in bodies if method == "post" and "{" not in path else ():
                response = await client.post(path, content=body, headers=headers)
                assert response.status_code < 500, (path, body[:100], response.text)


async def test_nobody_writes_lines_into_the_log(api: Open, caplog: pytest.LogCaptureFixture) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "odd\nINFO all is well" + "!" * 999: 1}
    async with client_of(api.app) as client:
        assert (await client.post("/v1/chat/completions", json=body, headers=api.headers)).status_code == 200
    (line,) = [record.getMessage() for record in caplog.records if "is not known" in record.getMessage()]
    assert "\n" not in line and r"'odd\nINFO all is well!!" in line and len(line) < 300


async def test_half_of_a_character_is_replaced(api: Open) -> None:
    headers = api.headers | {"content-type": "application/json"}
    async with client_of(api.app) as client:
        for text in ("cut \ud83d", "cut \N{REPLACEMENT CHARACTER}"):
            body = {"model": MODEL, "text": text}
            answer = await client.post("/v1/tokenize", content=json.dumps(body), headers=headers)
            assert answer.json()["tokens"] == list("cut \N{REPLACEMENT CHARACTER}".encode())


@pytest.mark.parametrize("path", GENERATING)  # the ordinary run below makes up too few requests to be sure of one
def test_streams_are_as_documented(api: Open, path: str) -> None:
    question: dict[str, Any] = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 20}
    if path in ("/v1/completions", "/v1/fim/completions"):
        question = {"prompt": "hi"}
    elif path == "/v1/responses":
        question = {"input": "hi"}
    case = api.schema[path]["POST"].Case(body={"model": MODEL, **question, "stream": True})
    response = case.call(headers=api.headers)
    assert response.status_code == 200 and response.headers["content-type"][0].startswith("text/event-stream")
    case.validate_response(response, checks=CHECKS)


def try_all(api: Open, examples: int) -> int:
    """Requests made up from the document, the model's name put in; the replies must be as it says."""
    asked = 0
    for found in api.schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @given(operation.as_strategy())
        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        def replies_are_as_documented(case: schemathesis.Case[Any]) -> None:
            nonlocal asked
            asked += 1
            if isinstance(case.body, dict) and "model" in case.body:
                case.body["model"] = MODEL
            if case.path_parameters and asked % 2:
                case.path_parameters = dict.fromkeys(case.path_parameters, MODEL)
            response = case.call(headers=api.headers)
            case.validate_response(response, checks=CHECKS)

        replies_are_as_documented()
    return asked


def test_made_up_requests(api: Open) -> None:
    assert try_all(api, examples=3) > 60


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_many_made_up_requests(api: Open) -> None:
    assert try_all(api, examples=150) > 2000


async def test_the_document_needs_no_key(api: Open) -> None:
    """An API client reads it before anyone has told it a key."""
    async with client_of(api.app) as client:
        assert (await client.get("/openapi.json")).status_code == 200
