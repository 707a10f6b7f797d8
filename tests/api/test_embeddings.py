"""Embeddings with the real SDKs against a real server with a tiny BERT."""

import base64
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from tests.api.pooled import pooled
from tests.api.served import Served, served

if TYPE_CHECKING:
    from openai import OpenAI

TEXTS = ["The quick brown fox.", "", "It will be better tomorrow; nothing can be done about it today."]


@pytest.fixture(scope="module")
def server(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    (home / "models").mkdir()
    (home / "models" / "bert.gguf").symlink_to(tiny_model("bert-tiny"))
    with served(home / "models" / "bert.gguf", home, "--threads", "1", "--any-model") as running:
        yield running


@pytest.fixture(scope="module")
def openai(server: Served) -> "Iterator[OpenAI]":
    from openai import OpenAI  # here, because it takes half a second

    with OpenAI(api_key="local", base_url=f"{str(server.client.base_url).rstrip('/')}/v1", max_retries=0) as client:
        yield client


def post(server: Served, **body: Any) -> httpx.Response:
    return server.client.post("/v1/embeddings", json=body)


def vectors(server: Served, **body: Any) -> np.ndarray:
    return np.array([each["embedding"] for each in post(server, **body).raise_for_status().json()["data"]])


def test_mistrals_sdk(server: Served) -> None:
    from mistralai.client import Mistral

    with Mistral(api_key="local", server_url=str(server.client.base_url).rstrip("/")) as client:
        reply = client.embeddings.create(model="bert", inputs=TEXTS)
        one = client.embeddings.create(model="bert", inputs=TEXTS[0], output_dimension=16)
        packed = client.embeddings.create(model="bert", inputs=TEXTS[0], output_dtype="ubinary")
    assert [each.index for each in reply.data] == [0, 1, 2] and reply.object == "list" and reply.model == "bert"
    made = np.array([each.embedding for each in reply.data])
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-6)
    counts = [server.client.post("/v1/tokenize", json={"text": t, "add_special": True}).json()["count"] for t in TEXTS]
    assert counts[1] == 2 and reply.usage.prompt_tokens == reply.usage.total_tokens == sum(counts)
    assert reply.usage.completion_tokens == 0
    short = np.array(one.data[0].embedding)
    assert len(short) == 16 and np.allclose(short, made[0][:16] / np.linalg.norm(made[0][:16]), atol=1e-6)
    assert packed.data[0].embedding == np.packbits(made[0] > 0).tolist()


def test_what_the_model_can_do_is_said(server: Served) -> None:
    able = server.client.get("/v1/models/bert").json()["capabilities"]
    assert (able["embeddings"], able["completion_chat"], able["function_calling"]) == (True, False, False)


def test_openais_sdk(server: Served, openai: "OpenAI") -> None:
    from openai import BadRequestError

    as_base64 = openai.embeddings.create(model="bert", input=TEXTS)  # which it asks for by itself, and decodes
    as_float = openai.embeddings.create(model="bert", input=TEXTS, encoding_format="float")
    assert [each.embedding for each in as_base64.data] == [each.embedding for each in as_float.data]
    short = openai.embeddings.create(model="bert", input=TEXTS[0], dimensions=8)
    assert len(short.data[0].embedding) == 8
    raw = post(server, input=TEXTS, encoding_format="base64").json()["data"]
    decoded = [np.frombuffer(base64.b64decode(each["embedding"]), "<f4").tolist() for each in raw]
    assert decoded == [each.embedding for each in as_float.data]
    ids = server.client.post("/v1/tokenize", json={"text": TEXTS[0], "add_special": True}).json()["tokens"]
    for given in (ids, [ids, ids]):
        by_ids = openai.embeddings.create(model="bert", input=given)
        assert np.allclose(by_ids.data[-1].embedding, as_float.data[0].embedding, atol=5e-4)
    with pytest.raises(BadRequestError, match="writes no text"):
        openai.chat.completions.create(model="bert", messages=[{"role": "user", "content": "Hi"}])
    with pytest.raises(BadRequestError, match="writes no text"):
        openai.completions.create(model="bert", prompt="Hi", stream=True)


def test_many_texts_are_what_each_is_alone(server: Served) -> None:
    texts = [f"{TEXTS[i % 3]} {'abcdefghij'[i % 10]} {'fox ' * (i % 7)}" for i in range(60)]
    with ThreadPoolExecutor(8) as pool:
        alone = list(pool.map(lambda text: vectors(server, input=text)[0], texts))
    together = vectors(server, input=texts)
    assert np.abs(together - np.array(alone)).max() < 5e-4  # 1e-4 without flash attention
    assert (together * np.array(alone)).sum(axis=1).min() > 0.99999


@pytest.mark.parametrize(
    ("body", "status", "param", "words"),
    [
        ({"input": []}, 422, "input", "empty list"),
        ({"input": None}, 422, "input", "a text, a list of texts, or token ids"),
        ({"input": ["a", 1]}, 422, "input", "a text, a list of texts, or token ids"),
        ({"input": [True]}, 422, "input", "a text, a list of texts, or token ids"),
        ({"input": [[]]}, 422, "input", "is empty"),
        ({"input": ["a", "the " * 127]}, 400, "input.1", "129 tokens and the model takes 128"),
        ({"input": "the " * 127}, 400, "input", "129 tokens and the model takes 128"),
        ({"input": [[5], [5, 999]]}, 422, "input.1", "token 999"),
        ({"input": [-1]}, 422, "input", "token -1"),
        ({"input": ["a"] * 2049}, 422, "input", "at most 2048"),
        ({"input": "a", "output_dimension": 65}, 422, "output_dimension", "have 64"),
        ({"input": "a", "dimensions": 0}, 422, "dimensions", "have 64"),
        ({"input": "a", "dimensions": 12, "output_dtype": "binary"}, 422, "output_dtype", "multiple of 8"),
        ({"input": "a", "output_dtype": "float16"}, 422, "output_dtype", "'ubinary'"),
        ({"input": "a", "encoding_format": "hex"}, 422, "encoding_format", "'base64'"),
        ({}, 422, "input", "required"),
    ],
)
def test_what_is_wrong_is_said(server: Served, body: dict[str, Any], status: int, param: str, words: str) -> None:
    reply = post(server, **body)
    said = reply.json()
    assert (reply.status_code, said["param"]) == (status, param) and words in said["message"]


def test_null_is_not_given(server: Served) -> None:
    names = ("output_dimension", "dimensions", "output_dtype", "encoding_format", "metadata", "user")
    assert np.array_equal(vectors(server, input="a", **dict.fromkeys(names)), vectors(server, input="a"))


def test_usage_is_recorded(server: Served) -> None:
    before, tokens = counted(server), post(server, input=TEXTS).json()["usage"]["prompt_tokens"]
    assert counted(server) == before + tokens


def counted(server: Served) -> float:
    """The prompt tokens of all requests so far."""
    lines = server.client.get("/metrics").text.splitlines()
    found = [line for line in lines if line.startswith("ggufrun_tokens_total") and 'kind="prompt"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in found)


def test_a_crash_is_a_503_and_the_next_request_works(server: Served, openai: "OpenAI") -> None:
    from openai import APIStatusError

    worker = server.worker()
    os.kill(worker.pid, signal.SIGSTOP)  # so that the request is there when it ends
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(openai.embeddings.create, model="bert", input=TEXTS)
        time.sleep(0.3)
        assert not waiting.done()
        os.kill(worker.pid, signal.SIGKILL)
        with pytest.raises(APIStatusError, match="process ended") as caught:
            waiting.result(60)
    assert caught.value.status_code == 503 and caught.value.response.headers["Retry-After"]
    assert len(openai.embeddings.create(model="bert", input=TEXTS).data) == 3
    assert server.worker().pid != worker.pid


def test_a_client_that_leaves_takes_its_request_back(server: Served) -> None:
    worker = server.worker()
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        with pytest.raises(httpx.ReadTimeout):
            server.client.post("/v1/embeddings", json={"input": TEXTS}, timeout=httpx.Timeout(60, read=0.5))
        end = time.monotonic() + 60
        while not any(" 499 " in line for line in server.log):
            assert time.monotonic() < end, server.log[-3:]
            time.sleep(0.02)
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    assert len(vectors(server, input=TEXTS)) == 3


def test_beside_a_chat_model(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    for kind in ("llama-tiny", "bert-tiny"):
        (tmp_path / f"{kind}.gguf").symlink_to(tiny_model(kind))
    files = [str(tmp_path / f"{kind}.gguf") for kind in ("llama-tiny", "bert-tiny")]
    with pooled(tmp_path, *files, "--context", "256", "--threads", "1") as running:
        able = {card["id"]: card["capabilities"] for card in running.client.get("/v1/models").json()["data"]}
        assert able["bert-tiny"]["embeddings"] and not able["bert-tiny"]["completion_chat"]
        assert not able["llama-tiny"]["embeddings"] and able["llama-tiny"]["completion_chat"]
        assert running.model("bert-tiny")["state"] == "unloaded"
        made = running.client.post("/v1/embeddings", json={"model": "bert-tiny", "input": "Hi"})
        assert made.status_code == 200 and len(made.json()["data"][0]["embedding"]) == 64
        refused = running.client.post("/v1/embeddings", json={"model": "llama-tiny", "input": "Hi"})
        assert refused.status_code == 400 and "makes no embeddings" in refused.json()["message"]
        assert running.chat("llama-tiny").status_code == 200 and running.chat("bert-tiny").status_code == 400


def test_the_document_has_the_route(server: Served) -> None:
    operation = server.client.get("/openapi.json").json()["paths"]["/v1/embeddings"]["post"]
    assert operation["summary"] and {"200", "400", "422", "503"} <= set(operation["responses"])
