"""Small stand-ins for the engine's seams: a vocabulary of single bytes and a service that plays a script."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Self

from ggufrun.chat.types import AnyRequest, Embeddings
from ggufrun.engine.types import EngineEvent, Failed, Finished, FinishReason, GenerationRequest, Stats, Tokens
from ggufrun.errors import RequestError

MISTRAL_SPECIALS = ("<s>", "</s>", "[THINK]", "[/THINK]", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]")


class FakeVocabulary:
    """Tokens 0 to 255 are the bytes; special tokens and then `words` follow. Implements `Vocabulary`."""

    def __init__(
        self,
        specials: Sequence[str] = MISTRAL_SPECIALS,
        words: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.metadata: Mapping[str, str] = metadata or {}
        self._pieces = [bytes([byte]) for byte in range(256)] + [each.encode() for each in (*specials, *words)]
        self.special = {name: 256 + at for at, name in enumerate(specials)}
        self._special_ids = frozenset(self.special.values())
        self.bos, self.eos = self.special.get("<s>"), self.special.get("</s>")
        self.adds_bos = self.bos is not None

    def __len__(self) -> int:
        return len(self._pieces)

    def text(self, token: int) -> str:
        return self._pieces[token].decode("latin-1")

    def piece(self, token: int) -> bytes:
        return self._pieces[token]

    def is_special(self, token: int) -> bool:
        return token in self._special_ids

    def is_end(self, token: int) -> bool:
        return token == self.eos

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        tokens: list[int] = []
        while text:
            name = next((each for each in self.special if special and text.startswith(each)), None)
            tokens += [self.special[name]] if name else text[0].encode()
            text = text[len(name) if name else 1 :]
        return tokens


class FakeGeneration:
    """Plays its events, one a loop turn, and ends with CANCELLED once cancelled. Implements `Generation`."""

    def __init__(self, request: GenerationRequest, events: Iterable[EngineEvent | BaseException | None]) -> None:
        self.request = request
        self.cancelled = False
        self.sent = 0  # tokens
        self._events = events
        self._woken = asyncio.Event()

    def cancel(self) -> None:
        self.cancelled = True
        self._woken.set()

    async def __aiter__(self) -> AsyncIterator[EngineEvent]:
        for event in self._events:
            await asyncio.sleep(0)
            if event is None:  # a step that never ends
                await self._woken.wait()
            if self.cancelled:
                yield Finished(self.request.id, FinishReason.CANCELLED, self._stats())
                return
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, Tokens):
                self.sent += len(event.tokens)
            assert event is not None
            yield event

    def _stats(self) -> Stats:
        return Stats(len(self.request.prompt), self.sent)


Script = Sequence["tuple[int, ...] | EngineEvent | BaseException | FinishReason | None"]


class FakeService:
    """Answers the i-th request with the i-th script, the last one repeatedly. Implements `GenerationService`.

    In a script a tuple of tokens is a Tokens event and a FinishReason a Finished one; None waits for the cancel.
    """

    def __init__(self, *scripts: Script, context: int = 4096, capacity: int = 1000) -> None:
        self.context, self.capacity = context, capacity
        self.generations: list[FakeGeneration] = []
        self._scripts = scripts
        self._ids = itertools.count(1)

    def next_id(self) -> int:
        return next(self._ids)

    @property
    def requests(self) -> list[GenerationRequest]:
        return [generation.request for generation in self.generations]

    def reserve(self, count: int) -> AbstractContextManager["FakeService"]:
        return nullcontext(self)

    def submit(self, request: GenerationRequest) -> FakeGeneration:
        script = self._scripts[min(len(self.generations), len(self._scripts) - 1)]
        generation = FakeGeneration(request, list(_events(request, script)))
        self.generations.append(generation)
        return generation


def _events(request: GenerationRequest, script: Script) -> Iterable[EngineEvent | BaseException | None]:
    count = 0
    for step in script:
        if isinstance(step, tuple):
            count += len(step)
            yield Tokens(request.id, step)
        elif isinstance(step, Tokens):
            count += len(step.tokens)
            yield Tokens(request.id, step.tokens, step.logprobs)
        elif isinstance(step, FinishReason):
            yield Finished(request.id, step, Stats(len(request.prompt), count))
        elif isinstance(step, Failed):
            yield Failed(request.id, step.message)
        else:
            yield step


class Scripted:
    """The parts of a `ChatModel` that scripts have no lines for."""

    def reserve(self, answers: int, param: str) -> AbstractContextManager[Self]:
        return nullcontext(self)

    async def tokens(self, request: AnyRequest) -> tuple[int, ...]:
        return tuple(range(10))

    async def count_tokens(self, request: AnyRequest) -> int:
        return len(await self.tokens(request))

    async def embed(self, inputs: Sequence[str | tuple[int, ...]]) -> Embeddings:
        raise RequestError("A script makes no embeddings.", "", "model")

    async def close(self) -> None:
        return None
