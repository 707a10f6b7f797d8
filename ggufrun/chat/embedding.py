"""The model that makes embeddings and no text: texts → tokens → submit → vectors. Its engine is another process."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager

from ggufrun.chat.types import AnyRequest, ChatEvent, Embeddings, Meter, ModelInfo, TextRequest
from ggufrun.engine.generation import EmbeddingService
from ggufrun.engine.types import Embedded, EmbeddingRequest, Failed
from ggufrun.engine.vocabulary import TextVocabulary
from ggufrun.errors import EngineError, InputTooLong, ModelLacks, OutOfRange

Inputs = Sequence[str | tuple[int, ...]]


class EmbeddingModel:
    """Implements `ChatModel` over one loaded embedding model's engine. `info.context` is its longest input."""

    def __init__(self, info: ModelInfo, vocabulary: TextVocabulary, service: EmbeddingService) -> None:
        self._info, self._vocabulary, self._service = info, vocabulary, service

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
        raise self._no_text()
        yield  # for Python this makes it a generator

    @contextmanager
    def reserve(self, answers: int, param: str) -> Iterator["EmbeddingModel"]:
        raise self._no_text()
        yield

    async def tokens(self, request: AnyRequest) -> tuple[int, ...]:
        """A text's tokens, by default as they are embedded."""
        if not isinstance(request, TextRequest) or request.suffix is not None:
            raise self._no_text()
        framed = request.bos or not isinstance(request.prompt, str)
        return await asyncio.to_thread(self._encode, request.prompt, "prompt", framed=framed)

    async def count_tokens(self, request: AnyRequest) -> int:
        return len(await self.tokens(request))

    async def embed(self, inputs: Inputs) -> Embeddings:
        """A vector for each text; token ids are taken as they are. Nothing is cut: too long a text is InputTooLong.

        Cancelling the task that waits takes the request back.
        """
        tokens = await asyncio.to_thread(self._encode_all, inputs)
        counts = tuple(map(len, tokens))
        submitted = self._service.submit(EmbeddingRequest(self._service.next_id(), tokens))
        try:
            async for event in submitted:
                if isinstance(event, Embedded):
                    return Embeddings(event.vectors, counts)
                if isinstance(event, Failed):
                    raise event.error or EngineError(event.message, "Send the request again.")
        finally:
            submitted.cancel()
        raise EngineError("The engine ended without embeddings.", "Send the request again.")

    async def close(self) -> None:
        return None

    def _encode_all(self, inputs: Inputs) -> tuple[tuple[int, ...], ...]:
        if not inputs:
            raise OutOfRange("There is no input.", "Send at least one text.", "input")
        several = len(inputs) > 1
        return tuple(self._encode(each, f"input.{at}" if several else "input") for at, each in enumerate(inputs))

    def _encode(self, text: str | tuple[int, ...], at: str, *, framed: bool = True) -> tuple[int, ...]:
        vocabulary, longest = self._vocabulary, self._info.context
        if not isinstance(text, str):
            tokens = text
        else:
            tokens = tuple(vocabulary.frame(text) if framed else vocabulary.tokenize(text, special=False))
        if not tokens:
            raise OutOfRange("An input is empty.", "Send some text.", at)
        if len(tokens) > longest:
            raise InputTooLong(len(tokens), longest, at)
        for token in tokens:
            if not 0 <= token < len(vocabulary):
                raise OutOfRange(f"An input names token {token}.", f"Tokens go from 0 to {len(vocabulary) - 1}.", at)
        return tokens

    def _no_text(self) -> ModelLacks:
        message = f"{self._info.name} is an embedding model and writes no text."
        return ModelLacks(message, "Send texts to /v1/embeddings, or name a chat model.", "model")
