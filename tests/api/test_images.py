"""Images of requests, in every API's spelling: what the model is given in the end, and what is refused before."""

import asyncio
import base64
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.api.app import create_app
from ggufrun.api.gateway import Gateway, ServerSettings
from ggufrun.api.images.fetching import Fetcher, Limits
from ggufrun.api.images.images import Images
from ggufrun.api.images.sources import data_of
from ggufrun.api.manage.metrics import Metrics
from ggufrun.chat.types import AnyRequest, Capabilities, ChatRequest, ImageChunk, ModelInfo, TextChunk
from ggufrun.errors import OutOfRange
from ggufrun.pool.served import OneModel
from ggufrun.records.ledger import Ledger
from tests.api.agents import SAID
from tests.api.chatting import CHATS, SteppedModel, chatting, says
from tests.api.picture_host import picture_host, png, whole
from tests.api.scripted import PlayedModel, client_of, listening

_RED, _BLUE = png(color="red"), png(color="blue")
_SEES = Capabilities(vision=True)


class _Seeing(SteppedModel):
    """Counts 1,000 tokens an image, and one a text."""

    @property
    def info(self) -> ModelInfo:
        return replace(super().info, capabilities=_SEES)

    async def tokens(self, request: AnyRequest) -> tuple[int, ...]:
        if not isinstance(request, ChatRequest):
            return (0,)
        return tuple(range(sum(1 if isinstance(part, str) else 1000 for part in _given(request))))


def _url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _given(request: AnyRequest) -> list[str | bytes]:
    """What the model was given: texts and files, in order."""
    assert isinstance(request, ChatRequest)
    parts: list[str | bytes] = []
    for message in request.messages:
        for part in message.content if isinstance(message.content, tuple) else ():
            assert isinstance(part, ImageChunk | TextChunk)
            parts.append(part.data if isinstance(part, ImageChunk) else part.text)
        if isinstance(message.content, str):
            parts.append(message.content)
    return parts


def _seeing(**more: Any) -> tuple[_Seeing, Gateway]:
    model = _Seeing(SAID)
    return model, Gateway(OneModel(model), ServerSettings(), Metrics(), **more)


async def _post(path: str, body: dict[str, Any], **more: Any) -> tuple[httpx.Response, _Seeing]:
    model, gateway = _seeing(**more)
    async with client_of(create_app(gateway)) as client:
        return await client.post(path, json=body), model


def _user(*parts: Any) -> dict[str, Any]:
    chunks = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"messages": [{"role": "user", "content": chunks}]}


def _image(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": url}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/tokenize"])
async def test_the_chat_api_s_spellings(path: str, stream: bool) -> None:
    parts = ("a", _image(_url(_RED)), _image({"url": _url(_BLUE), "detail": "high"}), "b", _image(_url(_RED)))
    reply, model = await _post(path, {**_user(*parts), **({"stream": True} if stream else {})})
    assert reply.status_code == 200, reply.text
    if path == "/v1/tokenize":
        assert reply.json()["count"] == 3002
    else:
        assert _given(model.requests[0]) == ["a", _RED, _BLUE, "b", _RED]


async def test_anthropic_s_spelling() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(_RED).decode()}
    text = {"type": "text", "text": "What is it?"}
    body = {"max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "image", "source": source}, text]}]}
    reply, model = await _post("/v1/messages", body)
    assert reply.status_code == 200 and _given(model.requests[0]) == [_RED, "What is it?"]
    counted, _ = await _post("/v1/messages/count_tokens", body)
    assert counted.json() == {"input_tokens": 1001}


async def test_the_spelling_of_responses() -> None:
    content = [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": _url(_RED), "detail": "auto"}]
    body = {"input": [{"role": "user", "content": content}]}
    reply, model = await _post("/v1/responses", body)
    assert reply.status_code == 200 and _given(model.requests[0]) == ["a", _RED]
    counted, _ = await _post("/v1/responses/input_tokens", body)
    assert counted.json()["input_tokens"] == 1001


async def test_images_are_fetched_from_where_the_server_may() -> None:
    async with picture_host({"/r": whole(_RED), "/b": whole(_BLUE)}) as host:
        at = f"http://127.0.0.1:{host.port}"
        body = _user(_image(f"{at}/r"), "and", _image({"url": f"{at}/b"}), _image(f"{at}/r"))
        reply, model = await _post("/v1/chat/completions", body, images=Images(hosts=["127.0.0.1"]))
        assert reply.status_code == 200, reply.text
        assert _given(model.requests[0]) == [_RED, "and", _BLUE, _RED]
        assert len(host.asked) == 2  # what is there twice is fetched once
        source = {"type": "url", "url": f"{at}/b"}
        asked = {"max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}
        reply, model = await _post("/v1/messages", asked, images=Images(hosts=["127.0.0.1"]))
        assert _given(model.requests[0]) == [_BLUE]


_REFUSED: Sequence[tuple[str, int, str]] = [
    ("http://127.0.0.1:1/a.png", 400, "not on the public internet"),
    ("http://169.254.169.254/latest/meta-data", 400, "not on the public internet"),
    ("http://[::ffff:10.0.0.1]/a.png", 400, "not on the public internet"),
    ("file:///etc/passwd", 422, "http and https"),
    ("a.png", 422, "http and https"),
    ("http://me:secret@host/a.png", 422, "user name or password"),
    ("data:image/png,abc", 422, "no data: URL in base64"),
    ("data:image/png;base64,a", 422, "base64 is broken"),
    ("data:image/png;base64,a*c=", 422, "base64 is broken"),
]


@pytest.mark.parametrize(("url", "status", "said"), _REFUSED)
async def test_what_is_refused_names_the_part(url: str, status: int, said: str) -> None:
    reply, model = await _post("/v1/chat/completions", _user("a", _image(_url(_RED)), _image(url)))
    assert reply.status_code == status and said in reply.json()["message"]
    assert reply.json()["param"] == "messages.0.content.2"
    assert not model.requests and "secret" not in reply.text


@pytest.mark.parametrize("role", ["system", "developer", "assistant"])
async def test_images_are_refused_where_the_model_would_not_see_them(role: str) -> None:
    async with picture_host({"/": whole(_RED)}) as host:
        said = {"role": role, "content": [_image(f"http://127.0.0.1:{host.port}/")]}
        body = {"messages": [{"role": "user", "content": "a"}, said, {"role": "user", "content": "b"}]}
        reply, model = await _post("/v1/chat/completions", body, images=Images(hosts=["127.0.0.1"]))
    assert reply.status_code == 422 and "belong to the user's messages" in reply.json()["message"]
    assert reply.json()["param"] == "messages.1.content.0" and not model.requests and not host.asked


def _anthropic(source: dict[str, Any]) -> dict[str, Any]:
    content = [{"type": "text", "text": "a"}, {"type": "image", "source": source}]
    return {"max_tokens": 9, "messages": [{"role": "user", "content": content}]}


@pytest.mark.parametrize(
    ("source", "status", "said"),
    [
        ({"type": "url", "url": "http://127.0.0.1/"}, 400, "not on the public internet"),
        ({"type": "base64", "media_type": "image/png", "data": "a*"}, 422, "base64 is broken"),
        ({"type": "file", "file_id": "x"}, 422, "Files are not kept here"),
        ({"type": "base64"}, 422, "no source that is known"),
    ],
)
async def test_what_is_refused_in_anthropic_s_words(source: dict[str, Any], status: int, said: str) -> None:
    reply, model = await _post("/v1/messages", _anthropic(source))
    assert reply.status_code == status and reply.json()["type"] == "error" and not model.requests
    assert reply.json()["error"]["type"] == "invalid_request_error" and said in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    ("image", "status", "said"),
    [
        ({"image_url": "http://127.0.0.1/"}, 400, "not on the public internet"),
        ({"image_url": "data:image/png;base64,a*"}, 422, "base64 is broken"),
        ({"file_id": "x"}, 422, "Files are not kept here"),
        ({}, 422, "has no URL"),
    ],
)
async def test_what_is_refused_of_responses(image: dict[str, Any], status: int, said: str) -> None:
    body = {"input": [{"role": "user", "content": [{"type": "input_image", **image}]}]}
    reply, model = await _post("/v1/responses", body)
    assert reply.status_code == status and said in reply.json()["error"]["message"] and not model.requests
    assert reply.json()["error"]["param"] == "input.0.content.0"


async def test_a_tool_s_result_may_be_an_image_in_agents_dialects() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(_RED).decode()}
    result = {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "image", "source": source}]}
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {}}
    said = [("user", "x"), ("assistant", [call]), ("user", [result])]
    body: dict[str, Any] = {"max_tokens": 9, "messages": [{"role": role, "content": each} for role, each in said]}
    _, model = await _post("/v1/messages", body)
    assert _given(model.requests[0])[-1] == _RED
    output = {
        "type": "function_call_output",
        "call_id": "a",
        "output": [{"type": "input_image", "image_url": _url(_RED)}],
    }
    called = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
    _, model = await _post("/v1/responses", {"input": [{"role": "user", "content": "x"}, called, output]})
    assert _given(model.requests[0])[-1] == _RED


async def test_images_that_take_too_long_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("ggufrun.api.images.images.MOST_S", 0.2)
    async with picture_host({"/": never}) as host:
        body = _user(_image(f"http://127.0.0.1:{host.port}/"))
        reply, _ = await _post("/v1/chat/completions", body, images=Images(hosts=["127.0.0.1"]))
    assert reply.status_code == 400 and "did not come within 0.2 s" in reply.json()["message"]
    assert reply.json()["param"] == "messages.0.content.0"


async def test_the_first_that_fails_ends_the_others() -> None:
    async def never(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with picture_host({"/slow": never, "/html": whole(b"<html>and more</html>")}) as host:
        at = f"http://127.0.0.1:{host.port}"
        body = _user(_image(f"{at}/slow"), _image(f"{at}/html"))
        reply, _ = await asyncio.wait_for(_post("/v1/chat/completions", body, images=Images(hosts=["127.0.0.1"])), 60)
        assert reply.status_code == 400 and reply.json()["param"] == "messages.0.content.1"


async def test_all_images_of_a_request_have_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ggufrun.api.images.images.MOST_BYTES", 3 * len(_RED) - 1)
    async with picture_host({f"/{n}": whole(_RED) for n in range(3)}) as host:
        urls = [_image(f"http://127.0.0.1:{host.port}/{n}") for n in range(3)]
        images = Images(fetcher=Fetcher(["127.0.0.1"], Limits()))
        reply, _ = await _post("/v1/chat/completions", _user(*urls[:2]), images=images)
        assert reply.status_code == 200
        reply, _ = await _post("/v1/chat/completions", _user(*urls), images=images)
        assert reply.status_code == 400 and "too large together" in reply.json()["message"]


async def test_so_many_urls_are_not_fetched_for_one_request() -> None:
    async with picture_host() as host:
        urls = [_image(f"http://127.0.0.1:{host.port}/{n}") for n in range(65)]
        reply, _ = await _post("/v1/chat/completions", _user(*urls), images=Images(hosts=["127.0.0.1"]))
    assert reply.status_code == 422 and "At most 64 images" in reply.json()["message"] and not host.asked


async def test_a_server_that_fetches_nothing_still_takes_data() -> None:
    async with picture_host({"/": whole(_RED)}) as host:
        url = f"http://127.0.0.1:{host.port}/"
        refused, _ = await _post("/v1/chat/completions", _user(_image(url)), images=Images(urls=False))
        assert refused.status_code == 422 and "fetches no images" in refused.json()["message"]
        taken, _ = await _post("/v1/chat/completions", _user(_image(_url(_RED))), images=Images(urls=False))
        assert taken.status_code == 200 and not host.asked


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_cannot_see_fetches_nothing_and_names_what_is_missing(stream: bool) -> None:
    model = PlayedModel(SAID)
    async with picture_host({"/": whole(_RED)}) as host:
        gateway = Gateway(OneModel(model), ServerSettings(), Metrics(), images=Images(hosts=["127.0.0.1"]))
        async with client_of(create_app(gateway)) as client:
            body = {**_user("a", _image(f"http://127.0.0.1:{host.port}/")), "stream": stream}
            reply = await client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 422 and not model.requests and not host.asked
    assert "cannot see images" in reply.json()["message"] and "mmproj" in reply.json()["message"]
    assert (reply.json()["param"], reply.json()["code"]) == ("messages.0.content.1", "unsupported")
    assert reply.json()["detail"][0]["loc"] == ["body", "messages", 0, "content", 1]


async def test_a_client_that_leaves_ends_the_fetching() -> None:
    asked = asyncio.Event()

    async def never(writer: asyncio.StreamWriter) -> None:
        asked.set()
        while True:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    model, gateway = _seeing(images=Images(hosts=["127.0.0.1"]))
    for stream in (False, True):
        async with picture_host({"/": never}) as host:
            asked.clear()
            async with listening(model, gateway) as client:
                body = {**_user(_image(f"http://127.0.0.1:{host.port}/")), "stream": stream}
                posted = asyncio.create_task(client.post("/v1/chat/completions", json=body))
                await asyncio.wait_for(asked.wait(), 60)
                posted.cancel()
                await asyncio.wait_for(host.left.wait(), 60)


async def test_logged_prompts_have_no_files_in_them(tmp_path: Path) -> None:
    model = _Seeing(SAID)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    gateway = Gateway(OneModel(model), ServerSettings(log_prompts=True), Metrics(), ledger=ledger)
    data = bytes(3000)
    async with client_of(create_app(gateway)) as client:
        reply = await client.post("/v1/chat/completions", json=_user("Look", _image(_url(_RED + data))))
    assert reply.status_code == 200
    ledger.close()
    logged = (tmp_path / "ledger.sqlite").read_bytes()
    assert b"Look" in logged and b"data:image/png" in logged and b"AAAA" * 100 not in logged


async def test_stored_chats_keep_the_client_s_form_and_run_and_count(tmp_path: Path) -> None:
    model = _Seeing(says("Red."))
    async with (
        picture_host({"/": whole(_BLUE)}) as host,
        chatting(tmp_path, says("Red."), models=OneModel(model), images=Images(hosts=["127.0.0.1"])) as chats,
    ):
        id = await chats.chat()
        content = [
            {"type": "text", "text": "What?"},
            _image(_url(_RED)),
            _image({"url": f"http://127.0.0.1:{host.port}/"}),
        ]
        counted = await chats.client.post(f"{CHATS}/{id}/count", json={"message": {"content": content}})
        assert counted.json()["count"] == 2001 and counted.json()["parts"][1:] == [1000, 1000]
        assert len(host.asked) == 1  # for the whole and for the part
        assert (await chats.answered(id, message={"content": content}))["content"] == "Red."
        stored = [each for each in (await chats.read(id))["messages"] if each["role"] == "user"]
        assert stored[0]["content"] == content
        await chats.answered(id, "And now?")
        assert _given(model.requests[-1]) == ["What?", _RED, _BLUE, "Red.", "And now?"]
        both = await chats.client.post(f"{CHATS}/{id}/count", json={"exchanges": True, "message": {"content": "x"}})
        assert both.json()["exchanges"][0]["parts"] == [1, 1000, 1000]
        assert len(host.asked) == 4  # one for each run, and one for the count


async def test_a_chat_s_run_with_an_image_that_cannot_be_had_adds_nothing(tmp_path: Path) -> None:
    async with chatting(tmp_path, says("Red."), models=OneModel(_Seeing(says("Red.")))) as chats:
        id = await chats.chat()
        message = {"content": [_image("http://127.0.0.1:1/a.png")]}
        reply = await chats.client.post(f"{CHATS}/{id}/runs", json={"message": message})
        assert reply.status_code == 400 and reply.json()["param"] == "messages.0.content.0"
        assert not (await chats.read(id))["messages"]


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,aGk_aGk-", "data:;base64,aGk/aGk+", "DATA:image/png;BASE64,aGk%2FaGk%2B",
        "data:image/png;name=a.png;base64,aGk/\n aGk+\r\n", "data:image/png;charset=x;base64,aGk/aGk+==",
    ],
)  # fmt: skip
def test_data_urls_in_all_their_forms(url: str) -> None:
    assert data_of(url) == b"hi?hi>"


def test_a_large_image_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes(range(256)) * 2
    lines = base64.encodebytes(data).decode()  # with a space or two in most of the pieces
    for size in range(1, 60):
        monkeypatch.setattr("ggufrun.api.images.sources._PIECE", size)
        assert data_of(f"data:;base64,{lines}") == data == data_of(_url(data))
        for broken in ("aGk=aGk=", "aG*k", "a" * 401, "aGk\xe9"):
            with pytest.raises(OutOfRange, match="base64 is broken"):
                data_of(f"data:;base64,{broken}")


def test_padding_may_be_missing() -> None:
    assert data_of("data:image/png;base64,aGk") == b"hi" == data_of("data:image/png;base64,aGk=")
    with pytest.raises(OutOfRange):
        data_of("data:base64,aGk")


@given(st.text(max_size=60))
def test_whatever_a_data_url_holds_comes_as_bytes_or_is_refused_in_words(body: str) -> None:
    with contextlib.suppress(OutOfRange):
        assert isinstance(data_of(f"data:image/png;base64,{body}"), bytes)
    with contextlib.suppress(OutOfRange):
        data_of(f"data:{body}")
