"""Images sent by the real SDKs to a real server, whose tiny model of random weights sees with a tiny Pixtral."""

import base64
import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anthropic import Anthropic
from mistral_common.protocol.instruct.chunk import ImageChunk, TextChunk
from mistralai.client import Mistral
from openai import BadRequestError, OpenAI
from PIL import Image

from ggufrun.chat.vision import Vision
from tests.api.chatting import CHATS
from tests.api.served import Served, served
from tests.chat.seen import written
from tests.tiny_vision import VERSION, VisionShape

MODEL = "seeing"
_SHAPE = VisionShape()
_VISION = Vision(_SHAPE.patch, _SHAPE.image, _SHAPE.merge)


def _noise(seed: int, width: int = 120, height: int = 90) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _file(image: Image.Image, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    image.save(file, format)
    return file.getvalue()


def _url(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


_ONE, _TWO = _noise(1), _noise(2)
_RED, _BLUE = _url(_file(_ONE)), _url(_file(_TWO))


def _expected(*parts: str | Image.Image) -> int:
    """mistral-common's count of a user's message."""
    chunks = [TextChunk(text=part) if isinstance(part, str) else ImageChunk(image=part) for part in parts]
    return len(written(f"v{VERSION}", _VISION, [chunks]))


@pytest.fixture(scope="module")
def server(tiny_vision: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("seeing")
    model, mmproj = tiny_vision / "model.gguf", tiny_vision / "mmproj.gguf"
    options = ("--any-model", "--mmproj", str(mmproj), "--context", "4096", "--allow-image-host", "127.0.0.1")
    with served(model, home, *options) as running:
        yield running


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """The address of a web server with an image."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(_file(_ONE))

        def log_message(self, format: str, *args: Any) -> None:
            """Not into the test's output."""

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, args=(0.02,))
    thread.start()
    yield f"127.0.0.1:{web.server_port}"
    web.shutdown()
    thread.join()
    web.server_close()


@pytest.fixture(scope="module")
def mistral(server: Served) -> Iterator[Any]:
    with Mistral(api_key="local", server_url=str(server.client.base_url), timeout_ms=60_000) as client:
        yield client


@pytest.fixture(scope="module")
def openai(server: Served) -> Iterator[OpenAI]:
    with OpenAI(api_key="local", base_url=f"{server.client.base_url}/v1", max_retries=0) as client:
        yield client


def _user(*parts: str) -> list[Any]:
    """Texts, and images' URLs."""
    chunks = [
        {"type": "image_url", "image_url": part}
        if "://" in part or part.startswith("data:")
        else {"type": "text", "text": part}
        for part in parts
    ]
    return [{"role": "user", "content": chunks}]


def _scores(server: Served, *parts: str) -> list[tuple[bytes, float]]:
    """What the model would say first, with its log-probabilities: equal only for equal prompts."""
    body = {"messages": _user(*parts), "max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": 20}
    reply = server.client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200, reply.text
    tops = reply.json()["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return [(bytes(top["bytes"]), round(top["logprob"], 3)) for top in tops]


def test_the_model_says_that_it_sees(mistral: Any) -> None:
    assert mistral.models.list().data[0].capabilities.vision


def test_mistral_s_sdk(mistral: Any) -> None:
    messages = _user("What is", _RED, "this?")
    asked = {"model": MODEL, "messages": messages, "max_tokens": 4, "temperature": 0}
    answer = mistral.chat.complete(**asked)
    assert answer.usage.prompt_tokens == _expected("What is", _ONE, "this?")
    chunks = list(mistral.chat.stream(**asked))
    assert "".join(chunk.data.choices[0].delta.content or "" for chunk in chunks) == answer.choices[0].message.content
    assert chunks[-1].data.usage.prompt_tokens == answer.usage.prompt_tokens


def test_openai_s_sdk(openai: OpenAI) -> None:
    messages: Any = _user("What is this?", _RED)
    messages[0]["content"][1]["image_url"] = {"url": _RED, "detail": "low"}
    answer = openai.chat.completions.create(model=MODEL, messages=messages, max_tokens=4)
    assert answer.usage and answer.usage.prompt_tokens == _expected("What is this?", _ONE)
    content: Any = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": _RED}]
    response = openai.responses.create(model=MODEL, input=[{"role": "user", "content": content}], max_output_tokens=4)
    assert response.usage and response.usage.input_tokens == answer.usage.prompt_tokens


def test_anthropic_s_sdk(server: Served) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": _RED.partition(",")[2]}
    content: Any = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    asked: Any = {"model": MODEL, "messages": [{"role": "user", "content": content}]}
    with Anthropic(api_key="local", base_url=str(server.client.base_url), max_retries=0) as client:
        answer = client.messages.create(**asked, max_tokens=4)
        used = answer.usage
        assert used.input_tokens + (used.cache_read_input_tokens or 0) == _expected(_ONE, "What is this?")
        assert client.messages.count_tokens(**asked).input_tokens == _expected(_ONE, "What is this?")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_tokens_of_every_size_and_format_are_mistral_common_s(openai: OpenAI, format: str) -> None:
    for width, height in ((1, 1), (29, 28), (640, 320), (17, 900)):
        image = Image.new("RGB", (width, height), "green")
        messages: Any = _user("?", _url(_file(image, format)), "!")
        answer = openai.chat.completions.create(model=MODEL, messages=messages, max_tokens=1)
        assert answer.usage and answer.usage.prompt_tokens == _expected("?", image, "!"), (width, height)


def test_images_and_texts_matter_and_their_order_too(server: Served) -> None:
    first = _scores(server, "a", _RED, "b", _BLUE, "c")
    assert _scores(server, "a", _RED, "b", _BLUE, "c") == first
    others = [
        ("a", _BLUE, "b", _RED, "c"),
        ("a", _RED, "b", _RED, "c"),
        (_RED, "a", "b", _BLUE, "c"),
        ("a", _RED, "b", "c"),
    ]
    assert all(_scores(server, *parts) != first for parts in others)


def test_a_question_about_the_same_image_reuses_it(openai: OpenAI) -> None:
    url = _url(_file(_noise(5, 280, 280)))  # 110 tokens
    history: list[Any] = [*_user(url, "What is it?"), {"role": "assistant", "content": "Noise."}]
    for messages in (history[:1], [*history, {"role": "user", "content": "Of which colour?"}]):
        answer = openai.chat.completions.create(model=MODEL, messages=messages, max_tokens=1)
    assert answer.usage and answer.usage.prompt_tokens_details
    assert (answer.usage.prompt_tokens_details.cached_tokens or 0) >= 110


def test_an_image_is_fetched_from_a_host_that_is_allowed(server: Served, host: str) -> None:
    assert _scores(server, "a", f"http://{host}/one.png", "b") == _scores(server, "a", _RED, "b")


def test_and_from_no_other_private_one(openai: OpenAI, host: str) -> None:
    port = host.partition(":")[2]
    for url in (f"http://localhost:{port}/a.png", f"http://[::1]:{port}/", "http://169.254.169.254/latest/meta-data"):
        with pytest.raises(BadRequestError, match="not on the public internet") as refused:
            openai.chat.completions.create(model=MODEL, messages=_user("a", url), max_tokens=1)
        assert refused.value.param == "messages.0.content.1"


def test_a_file_that_is_no_image_is_refused(openai: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="no PNG, JPEG, WebP or GIF"):
        openai.chat.completions.create(model=MODEL, messages=_user(_url(b"%PDF-1.7 and more")), max_tokens=1)


def test_a_chat_with_an_image_runs_and_counts_what_it_uses(server: Served) -> None:
    chat = server.client.post(CHATS, json={}).json()["id"]
    content = _user("What is this?", _RED)[0]["content"]
    counted = server.client.post(f"{CHATS}/{chat}/count", json={"message": {"content": content}}).json()
    assert counted["count"] == _expected("What is this?", _ONE)
    assert counted["parts"][1] == sum(_VISION.grid(*_ONE.size)[0] + 1 for _ in range(_VISION.grid(*_ONE.size)[1]))
    body = {"message": {"content": content}, "settings": {"sampling": {"max_tokens": 3}}}
    run = server.client.post(f"{CHATS}/{chat}/runs", json=body).raise_for_status().json()["id"]
    events = server.client.get(f"{CHATS}/{chat}/runs/{run}/events").text
    assert '"state": "done"' in events or '"state":"done"' in events
    again = server.client.post(f"{CHATS}/{chat}/count", json={"message": {"content": "And?"}}).json()
    assert again["count"] > counted["count"]
