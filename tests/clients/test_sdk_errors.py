"""What Mistral's and OpenAI's Python SDKs raise for each status, and when they try again."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import openai as openai_sdk
import pytest
from mistralai.client import errors
from mistralai.client.utils import BackoffStrategy, RetryConfig

from tests.clients.reach import FORMS, Form, Reach, mistral, openai
from tests.clients.scenes import BUG, CODES, ERRORS, PARAMS, Stage, on_stage, sentence_of

KINDS = {  # what OpenAI's SDK raises; Mistral's has one class for all but 422
    "400": openai_sdk.BadRequestError,
    "401": openai_sdk.AuthenticationError,
    "403": openai_sdk.PermissionDeniedError,
    "404": openai_sdk.NotFoundError,
    "422": openai_sdk.UnprocessableEntityError,
    "429": openai_sdk.RateLimitError,
    "500": openai_sdk.InternalServerError,
    "503": openai_sdk.InternalServerError,
}
AT_ONCE = RetryConfig("backoff", BackoffStrategy(10, 50, 1.5, 20_000), retry_connection_errors=False)


def asks(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "played", "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def address(stage: Stage) -> Iterator[str]:
    with on_stage(stage) as address:
        yield address


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> Form:
    value: Form = request.param
    return value


@pytest.fixture
def of_mistral(address: str, form: Form) -> Iterator[Reach]:
    with mistral(form, address) as reach:
        yield reach


@pytest.fixture
def of_openai(address: str, form: Form) -> Iterator[Reach]:
    with openai(form, address) as reach:
        yield reach


def test_what_mistrals_sdk_raises(of_mistral: Reach, stage: Stage) -> None:
    for name in ERRORS:
        kind = errors.HTTPValidationError if name.startswith("422") else errors.SDKError
        for method in ("chat.complete", "chat.stream"):
            with pytest.raises(errors.MistralError) as raised:
                of_mistral.call(method, **asks(name))
            assert type(raised.value) is kind, name
            assert raised.value.status_code == int(name[:3]) and raised.value.headers["x-request-id"]
            body = json.loads(raised.value.body)
            assert (body["message"], body["code"]) == (sentence_of(name), CODES.get(name)), name
            assert body["param"] == PARAMS.get(name) and BUG not in raised.value.body
        assert stage.asked[name] == 2, name  # no second try


def test_the_list_behind_a_422(of_mistral: Reach) -> None:
    with pytest.raises(errors.HTTPValidationError) as raised:
        of_mistral.call("chat.complete", **asks("422"))
    details = raised.value.data.detail or []
    assert [(each.loc, each.msg) for each in details] == [(["body", "temperature"], "temperature is 9.")]
    with pytest.raises(errors.HTTPValidationError) as raised:
        of_mistral.call("chat.complete", model="played", messages=[{"role": "user", "content": [{"type": "odd"}]}])
    assert [each.loc for each in raised.value.data.detail or ()] == [["body", "messages", 0, "content", 0]]


def test_what_openais_sdk_raises(of_openai: Reach) -> None:
    for name in ERRORS:
        for more in ({}, {"stream": True}):
            with pytest.raises(openai_sdk.APIStatusError) as raised:
                of_openai.call("chat.completions.create", **asks(name, **more))
            assert type(raised.value) is KINDS[name[:3]], name
            assert raised.value.status_code == int(name[:3]) and raised.value.request_id
            assert (raised.value.code, raised.value.param) == (CODES.get(name), PARAMS.get(name)), name
            body: Any = raised.value.body
            assert body["message"] == sentence_of(name) and sentence_of(name) in raised.value.message
            assert raised.value.type == body["type"]


def test_a_model_that_is_not_there(of_mistral: Reach, of_openai: Reach) -> None:
    with pytest.raises(errors.SDKError) as unknown:
        of_mistral.call("chat.complete", **asks("hello", model="big"))
    assert unknown.value.status_code == 400 and json.loads(unknown.value.body)["code"] == "1500"
    with pytest.raises(errors.SDKError) as missing:
        of_mistral.call("models.retrieve", model_id="house/big")
    assert missing.value.status_code == 404
    with pytest.raises(openai_sdk.BadRequestError, match="Served here: played") as refused:
        of_openai.call("chat.completions.create", **asks("hello", model="big"))
    assert (refused.value.code, refused.value.param) == ("1500", "model")
    with pytest.raises(openai_sdk.NotFoundError, match="house/big"):
        of_openai.call("models.retrieve", model="house/big")


def test_what_the_server_does_not_have_is_a_404(of_openai: Reach, of_mistral: Reach) -> None:
    with pytest.raises(openai_sdk.NotFoundError, match="is not served here"):
        of_openai.call("images.generate", prompt="a cat", model="played")
    with pytest.raises(errors.SDKError, match="is not served here"):
        of_mistral.call("files.list")


def test_openais_sdk_does_not_try_again_where_it_is_no_use(address: str, stage: Stage, form: Form) -> None:
    with openai(form, address, max_retries=2) as reach:
        for name in ("500 bug", "500", "503", "429"):
            with pytest.raises(openai_sdk.APIStatusError):
                reach.call("chat.completions.create", **asks(name))
            assert stage.asked[name] == 1, name


def test_mistrals_sdk_is_told_when_to_try_again(of_mistral: Reach) -> None:
    with pytest.raises(errors.SDKError) as busy:
        of_mistral.call("chat.complete", **asks("busy"))
    assert busy.value.status_code == 429 and busy.value.headers["retry-after"] == "1"


def tries(sdk: str, form: Form, scene: str) -> int:
    """How often a client that tries again asks before it has its answer."""
    stage = Stage()
    with on_stage(stage) as address:
        if sdk == "openai":
            with openai(form, address, max_retries=2) as reach:
                answer = reach.call("chat.completions.create", **asks(scene))
        else:
            with mistral(form, address, retry_config=AT_ONCE) as reach:
                answer = reach.call("chat.complete", **asks(scene))
    assert answer.choices[0].message.content == "fine"
    return stage.asked[scene]


def test_they_wait_as_they_are_told_and_then_succeed() -> None:
    cases = list(product(("openai", "mistral"), FORMS, ("busy", "loading")))
    start = time.monotonic()
    with ThreadPoolExecutor(len(cases)) as pool:
        counts = list(pool.map(tries, *zip(*cases, strict=True)))
    assert counts == [2] * len(cases)
    assert time.monotonic() - start > 0.9  # Retry-After is 1 s: the SDKs' own first pause is 10 ms and 0.5 s
