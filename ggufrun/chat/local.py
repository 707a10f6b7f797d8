"""The chat model that runs here: compile → submit → decode, parse and stop → events. Its engine is another process."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from ggufrun.chat.answer import Answer
from ggufrun.chat.answer_check import Checkers
from ggufrun.chat.checked import held, shown
from ggufrun.chat.compile import CompiledChat, Compiler
from ggufrun.chat.merge import merged
from ggufrun.chat.types import AnyRequest, ChatEvent, ChatRequest, Embeddings, Meter, ModelInfo, Started, TextDelta
from ggufrun.chat.vision import pictures_in, refuse_unseen
from ggufrun.engine.generation import Generation, GenerationService
from ggufrun.engine.types import EngineEvent, Tokens
from ggufrun.engine.vocabulary import Vocabulary
from ggufrun.errors import EngineError, ModelLacks, TooManyAtOnce

_T = TypeVar("_T")

DRAIN_S = 2.0  # how long a cancelled generation's statistics are waited for

# Pictures take up to seconds and 1 GB to open. Requests without any must not wait for that.
_PICTURES = ThreadPoolExecutor(2, "pictures")
_Events = AsyncGenerator[tuple[int, EngineEvent], None]


class LocalChatModel:
    """Implements `ChatModel` over one loaded model's engine."""

    def __init__(
        self,
        info: ModelInfo,
        vocabulary: Vocabulary,
        compiler: Compiler,
        service: GenerationService,
        on_close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`on_close` is awaited once by `close`; who made the service gives it."""
        self._info, self._vocabulary, self._compiler, self._service = info, vocabulary, compiler, service
        self._on_close = on_close
        self._checkers = Checkers()

    @property
    def info(self) -> ModelInfo:
        return self._info

    async def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
        """Answer a request.

        A RequestError, EngineBusy or EngineClosed comes before the first event; an EngineError may come after any, and
        SchemaNotSatisfied in the place of a choice's end. Where an answer was sampled more than once, `meter` and
        `Completed` count the tokens of all attempts.
        Closing the generator, and cancelling the task that reads it, cancels the request.
        """
        started = time.perf_counter()
        refuse_unseen(request, self._info)
        compiled = await _in_thread(self._compiler.compile, request)
        attempt = partial(self._attempt, started=started, meter=meter or Meter())
        if compiled.check is None:
            events = attempt(compiled)
        elif isinstance(request, ChatRequest) and not request.live:
            events = held(attempt, compiled, compiled.check, self._checkers)
        else:
            events = shown(attempt, compiled, compiled.check, self._checkers)
        async with contextlib.aclosing(events):
            async for event in events:
                yield event

    @contextlib.contextmanager
    def reserve(self, answers: int, param: str) -> Iterator["LocalChatModel"]:
        self._check_capacity(answers, param)
        with self._service.reserve(answers) as places:
            yield LocalChatModel(self._info, self._vocabulary, self._compiler, places)

    async def _attempt(self, compiled: CompiledChat, started: float, meter: Meter) -> AsyncGenerator[ChatEvent, None]:
        """Every choice once."""
        self._check_capacity(compiled.choices, "n")
        generations: list[Generation] = []
        events: _Events | None = None
        try:
            with self._service.reserve(compiled.choices) as places:
                while len(generations) < compiled.choices:
                    generation = compiled.generation(places.next_id(), len(generations))
                    generations.append(places.submit(generation))
            for first in self._first_events(compiled):
                yield first
            events = merged(generations)
            answer = Answer(compiled, self._vocabulary, self._service.context, started, meter)
            async for number, event in events:
                if type(event) is not Tokens and (error := answer.failure(number, event)) is not None:
                    for chat_event in answer.rest(number):
                        yield chat_event
                    raise error
                read = answer.read(number, event)
                if answer.choices[number].output.stopped:
                    generations[number].cancel()
                for chat_event in read:
                    yield chat_event
                if not answer.open:
                    break
            yield await self._completed(answer, events)
        finally:
            for each in generations:
                each.cancel()
            if events is not None:
                await events.aclose()

    async def tokens(self, request: AnyRequest) -> tuple[int, ...]:
        refuse_unseen(request, self._info)
        return await _in_thread(self._compiler.tokens, request)

    async def count_tokens(self, request: AnyRequest) -> int:
        return len(await self.tokens(request))

    async def embed(self, inputs: Sequence[str | tuple[int, ...]]) -> Embeddings:
        message = f"{self._info.name} is a chat model and makes no embeddings."
        raise ModelLacks(message, "Serve an embedding model beside it.", "model")

    async def close(self) -> None:
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            await on_close()

    def _check_capacity(self, answers: int, param: str) -> None:
        """What can never fit must not be told to try again."""
        if answers > self._service.capacity:
            at_once = f"This server makes at most {self._service.capacity} answers at once: ask for fewer."
            raise TooManyAtOnce(f"{answers} answers are asked for in one request.", at_once, param)

    def _first_events(self, compiled: CompiledChat) -> Sequence[ChatEvent]:
        prefixes = [TextDelta(compiled.prefix, choice) for choice in range(compiled.choices) if compiled.prefix]
        return [Started(len(compiled.prompt), self._service.context), *prefixes]

    async def _completed(self, answer: Answer, events: _Events) -> ChatEvent:
        """The last event; the statistics of choices that a stop string ended are waited for, but not long."""
        if answer.open:
            raise EngineError("The engine ended the answer without a result.", "Send the request again.")
        if any(choice.stats is None for choice in answer.choices):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_drain(answer, events), DRAIN_S)
        return answer.completed()


async def _in_thread(work: Callable[[AnyRequest], _T], request: AnyRequest) -> _T:
    seen = isinstance(request, ChatRequest) and pictures_in(request.messages)
    return await asyncio.get_running_loop().run_in_executor(_PICTURES if seen else None, work, request)


async def _drain(answer: Answer, events: _Events) -> None:
    async for number, event in events:
        answer.read(number, event)
        if all(choice.stats is not None for choice in answer.choices):
            return
