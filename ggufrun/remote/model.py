"""The chat model that is answered elsewhere: check → send → read → events, and what it costs."""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final

from pydantic_core import from_json

from ggufrun.chat.answer_check import AnswerCheck, Checkers
from ggufrun.chat.checked import held, shown
from ggufrun.chat.schema_validation import verify
from ggufrun.chat.types import (
    AnyRequest,
    ChatEvent,
    ChatRequest,
    Constraint,
    Embeddings,
    Meter,
    ModelInfo,
    PromptProcessed,
    Started,
    TextRequest,
)
from ggufrun.chat.vision import pictures_in
from ggufrun.errors import OverContext
from ggufrun.remote.asked import Asked
from ggufrun.remote.asking import asked
from ggufrun.remote.client import Client, Stream
from ggufrun.remote.embedding import embedded
from ggufrun.remote.engines import Engine
from ggufrun.remote.reading import Failed, Reading, Strange
from ggufrun.remote.settings import RemoteSettings
from ggufrun.remote.sse import DONE
from ggufrun.remote.tokens import Counter, Tokenizer
from ggufrun.remote_errors import RemoteBroke

_PROGRESS: Final = re.compile(rb": (\d+) of (\d+) prompt tokens processed")  # a comment of another ggufrun
_CHARACTERS: Final = 4  # of a prompt, about, for each token that is charged


class RemoteChatModel:
    """Implements `ChatModel` over one model of a remote engine. Who made the client closes it."""

    def __init__(
        self,
        info: ModelInfo,
        engine: Engine,
        settings: RemoteSettings,
        client: Client,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        """`settings.model` is what the remote calls it."""
        self._info, self._engine, self._settings, self._client = info, engine, settings, client
        self._counter = Counter(engine, info, client, settings.root, tokenizer)
        self._checkers = Checkers()
        self._headers: dict[str, str] = {"x-ggufrun-dialect": engine.dialect} if engine.kind == "ggufrun" else {}

    @property
    def info(self) -> ModelInfo:
        """With a note while the remote is down."""
        note = self._client.breaker.note
        return replace(self._info, note=note) if note else self._info

    async def complete(self, request: AnyRequest, meter: Meter | None = None) -> AsyncGenerator[ChatEvent, None]:
        """Answer a request.

        A RequestError or RemoteError comes before the first event; a RemoteBroke may come after any. Closing the
        generator closes the connection, by which the remote knows that nobody listens.
        """
        started = time.perf_counter()
        compiled = await self._asked(request)
        check = await _check_of(request)
        if isinstance(request, ChatRequest) and request.fits:
            await self._refuse_over(request, compiled)
        headers = dict(self._headers)
        if isinstance(request, ChatRequest) and request.escalate and headers:
            headers["x-ggufrun-escalate"] = "1"
        attempt = partial(self._attempt, started=started, meter=meter or Meter(), headers=headers)
        if check is None:
            events = attempt(compiled)
        elif isinstance(request, ChatRequest) and not request.live:
            events = held(attempt, compiled, check, self._checkers)
        else:
            events = shown(attempt, compiled, check, self._checkers)
        async with aclosing(events):
            async for event in events:
                yield event

    @contextmanager
    def reserve(self, answers: int, param: str) -> Iterator["RemoteChatModel"]:
        """The queue is the remote's, and it keeps no places."""
        yield self

    async def tokens(self, request: AnyRequest) -> tuple[int, ...]:
        if isinstance(request, TextRequest) and not request.prompt and not request.suffix:
            return ()
        return await self._counter.tokens(request, await self._asked(request))

    async def count_tokens(self, request: AnyRequest) -> int:
        return len(await self.tokens(request))

    async def embed(self, inputs: Sequence[str | tuple[int, ...]]) -> Embeddings:
        return await embedded(self._client, self._engine, self._info, self._settings.model, inputs)

    async def close(self) -> None:
        return None

    async def _asked(self, request: AnyRequest) -> Asked:
        """Pictures take their time to be written."""
        compile_ = partial(asked, self._engine, self._info, self._settings.model, request)
        seen = isinstance(request, ChatRequest) and pictures_in(request.messages)
        return await asyncio.to_thread(compile_) if seen else compile_()

    async def _refuse_over(self, request: ChatRequest, compiled: Asked) -> None:
        """What the hosted API refuses by itself, and other engines cut."""
        most, context = request.options.max_tokens, self._info.context
        if most is None or not context or not self._counter.counts:
            return
        prompt = len(await self._counter.tokens(request, compiled))
        if prompt + most > context:
            counts = f"The prompt has {prompt} tokens, max_tokens is {most}, and the context holds {context}."
            raise OverContext(counts, f"Set max_tokens to at most {max(1, context - prompt)}.", "max_tokens")

    async def _attempt(
        self, compiled: Asked, started: float, meter: Meter, headers: dict[str, str]
    ) -> AsyncGenerator[ChatEvent, None]:
        """Every choice once."""
        reading = Reading(compiled, self._info.context, started, meter)
        owed = False
        try:
            stream = await self._client.stream(compiled.path, compiled.body, headers)
            owed = True
            async with aclosing(stream):
                yield Started(0, self._info.context)
                for event in reading.begin():
                    yield event
                async with aclosing(self._read(stream, reading)) as events:
                    async for event in events:
                        yield event
                self._charge(compiled, reading, meter)  # a call is recorded at its last event
                owed = False
                yield reading.completed()
                await stream.rest()
        except RemoteBroke as error:
            if error.down:
                self._client.failed(error.why)
            raise
        finally:
            if owed:
                self._charge(compiled, reading, meter)

    async def _read(self, stream: Stream, reading: Reading) -> AsyncGenerator[ChatEvent, None]:
        """Up to the end that the remote itself writes. Raises RemoteError where the stream does not come so far."""
        while (items := await stream.read()) is not None:
            for item in items:
                if item.startswith(b":"):
                    if progress := _progress(item, reading):
                        yield progress
                    continue
                if item == DONE:
                    if not reading.whole:
                        raise self._broke("its stream ended before the answer")
                    self._client.breaker.succeeded()
                    return
                for event in self._events(item, reading):
                    yield event
        raise self._broke("its stream ended without an end")

    def _events(self, item: bytes, reading: Reading) -> Sequence[ChatEvent]:
        try:
            return reading.read(from_json(item))
        except Failed as failed:
            words = self._client.faults.words_of(failed.error)
            raise self._broke(words, down=failed.down) from failed  # whatever it is: it is too late
        except Strange as strange:
            raise self._broke(str(strange), down=False) from strange
        except ValueError as error:
            raise self._broke("it sent what is no JSON") from error

    def _broke(self, why: str, *, down: bool = True) -> RemoteBroke:
        return self._client.faults.broke(why.rstrip("."), down=down)

    def _charge(self, compiled: Asked, reading: Reading, meter: Meter) -> None:
        """Also for an answer that was cut: by what came of it, and where the remote had not said the prompt's tokens
        by then, by about how many there are."""
        if self._info.charges is None:
            return
        prompt = reading.prompt_tokens or len(json.dumps(_said(compiled))) // _CHARACTERS
        meter.spent_usd += self._info.charges.usd(prompt, reading.completion_tokens)


def _said(compiled: Asked) -> list[Any]:
    """What of a body is charged as its prompt. Pictures are counted otherwise, and are left out."""
    body = compiled.body
    contents = [message["content"] for message in body.get("messages", ())]
    texts = [
        content if isinstance(content, str) else [part for part in content if part.get("type") != "image_url"]
        for content in contents
    ]
    return [texts, body.get("tools", ""), body.get("prompt", ""), body.get("suffix", "")]


def _progress(comment: bytes, reading: Reading) -> PromptProcessed | None:
    found = _PROGRESS.fullmatch(comment)
    return reading.progress(int(found[1]), int(found[2])) if found else None


async def _check_of(request: AnyRequest) -> AnswerCheck | None:
    """What the finished answer must pass: no remote is taken at its word. Raises SchemaError."""
    constraint = request.constraint if isinstance(request, ChatRequest) else None
    if constraint is None or constraint.kind not in ("json_object", "json_schema"):
        return None
    schema = _schema(constraint)
    await asyncio.to_thread(verify, schema)
    return AnswerCheck(json.dumps(schema))


def _schema(constraint: Constraint) -> object:
    return {"type": "object"} if constraint.kind == "json_object" else constraint.schema
