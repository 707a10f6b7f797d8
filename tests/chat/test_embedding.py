"""The model that makes embeddings, over a scripted service: what is refused, and a request that is taken back."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ggufrun.chat.embedding import EmbeddingModel
from ggufrun.chat.types import AnyRequest, ChatRequest, Message, ModelInfo, TextRequest
from ggufrun.engine.types import Embedded, EmbeddingRequest, EngineEvent, Failed
from ggufrun.errors import EngineCrashed, EngineError, InputTooLong, OutOfRange, RequestError
from tests.fakes import FakeVocabulary

CHAT = ChatRequest((Message(role="user", content="Hi"),))


class Vocabulary(FakeVocabulary):
    def frame(self, text: str) -> list[int]:
        return [self.special["<s>"], *self.tokenize(text, special=False), self.special["</s>"]] if text else []


class Service:
    """Gives the same event to every request, or none for ever."""

    def __init__(self, event: EngineEvent | None) -> None:
        self.requests: list[EmbeddingRequest] = []
        self.cancelled = 0
        self._event = event

    def next_id(self) -> int:
        return 7

    def submit(self, request: EmbeddingRequest) -> "Service":
        self.requests.append(request)
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    async def __aiter__(self) -> AsyncIterator[EngineEvent]:
        if self._event is None:
            await asyncio.Event().wait()
        else:
            yield self._event


def model(event: EngineEvent | None = None) -> tuple[EmbeddingModel, Service]:
    service = Service(event)
    return EmbeddingModel(ModelInfo("vectors", 8, 8, 263, 0, ""), Vocabulary(), service), service


async def test_texts_are_framed_and_token_ids_are_not() -> None:
    embedder, service = model(Embedded(7, (b"a", b"b")))
    made = await embedder.embed(["Hi<s>", (1, 2)])
    assert made.vectors == (b"a", b"b") and made.tokens == (7, 2)
    assert service.requests == [EmbeddingRequest(7, ((256, *b"Hi<s>", 257), (1, 2)))]


async def test_counting_is_what_embedding_uses() -> None:
    embedder, _ = model()
    assert await embedder.tokens(TextRequest("Hi")) == (256, *b"Hi", 257)
    assert await embedder.tokens(TextRequest("Hi", bos=False)) == tuple(b"Hi")
    assert await embedder.count_tokens(TextRequest((1, 2, 3))) == 3


@pytest.mark.parametrize("request_", [CHAT, TextRequest("Hi", suffix="")])
async def test_no_text_is_written(request_: AnyRequest) -> None:
    embedder, service = model()
    with pytest.raises(RequestError, match="writes no text"):
        await anext(embedder.complete(request_))
    with pytest.raises(RequestError, match="writes no text"):
        await embedder.tokens(request_)
    assert service.requests == []


@pytest.mark.parametrize(
    ("inputs", "error", "param"),
    [
        ([], OutOfRange, "input"),
        ([""], OutOfRange, "input"),
        (["a", ""], OutOfRange, "input.1"),
        ([()], OutOfRange, "input"),
        (["1234567"], InputTooLong, "input"),
        (["a", (1,) * 9], InputTooLong, "input.1"),
        ([(1, 263)], OutOfRange, "input"),
        ([(-1,)], OutOfRange, "input"),
    ],
)
async def test_what_is_refused(inputs: list[str | tuple[int, ...]], error: type[RequestError], param: str) -> None:
    embedder, service = model()
    with pytest.raises(error) as caught:
        await embedder.embed(inputs)
    assert caught.value.param == param and service.requests == []


async def test_failures_are_raised() -> None:
    for event, kind in ((Failed(7, "broken"), EngineError), (Failed(7, "", EngineCrashed("gone")), EngineCrashed)):
        embedder, _ = model(event)
        with pytest.raises(kind, match=r"broken|gone"):
            await embedder.embed(["a"])


async def test_who_stops_waiting_takes_the_request_back() -> None:
    embedder, service = model()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await embedder.embed(["a"])
    assert len(service.requests) == service.cancelled == 1
