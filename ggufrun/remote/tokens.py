"""The tokens of a request's prompt: as the remote itself says them, or mistral-common for the hosted API"""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from ggufrun.chat.types import AnyRequest, ChatRequest, ModelInfo, TextRequest
from ggufrun.chat.vision import pictures_in
from ggufrun.remote.asked import Asked
from ggufrun.remote.client import Client
from ggufrun.remote.engines import Engine
from ggufrun.remote_errors import RemoteLacks

Json = Mapping[str, Any]


class Tokenizer(Protocol):
    """A model's own, here. Its methods block."""

    def tokens(self, request: AnyRequest) -> tuple[int, ...]:
        """Raises RequestError."""


class Counter:
    """Of one remote model."""

    def __init__(self, engine: Engine, info: ModelInfo, client: Client, root: str, tokenizer: Tokenizer | None) -> None:
        """`tokenizer` is asked in the place of an engine that tells nobody."""
        self._engine, self._info, self._client, self._root = engine, info, client, root
        self._tokenizer = tokenizer

    @property
    def counts(self) -> bool:
        return self._tokenizer is not None or self._engine.kind in ("vllm", "llama-server", "ggufrun")

    async def tokens(self, request: AnyRequest, asked: Asked) -> tuple[int, ...]:
        """`asked` is what would be sent for the request. Raises RemoteLacks where nobody can say."""
        if self._tokenizer is not None:
            return await asyncio.to_thread(self._tokenizer.tokens, request)
        if not self.counts:
            raise self._lacks("what a prompt's tokens are", "messages")
        body = asked.body
        if self._engine.kind == "ggufrun":
            return self._ids(await self._client.post("/tokenize", _ours(request, body)))
        if isinstance(request, ChatRequest) and pictures_in(request.messages):
            raise self._lacks("to count the tokens of images", "messages")
        if isinstance(request, TextRequest):
            if not isinstance(request.prompt, str):
                return request.prompt
            if request.suffix is not None:
                raise self._lacks("what stands behind a gap", "suffix")
        if self._engine.kind == "vllm":
            return self._ids(await self._client.post(f"{self._root}/tokenize", _vllm(request, body)))
        return await self._of_llama_server(request, body)

    async def _of_llama_server(self, request: AnyRequest, body: Json) -> tuple[int, ...]:
        if isinstance(request, TextRequest):
            text, special, framed = body["prompt"], False, request.bos
        else:
            names = ("messages", "tools", "tool_choice", "parallel_tool_calls", "chat_template_kwargs")
            shown = {name: body[name] for name in names if name in body}
            reply = await self._client.post(f"{self._root}/apply-template", shown)
            text, special, framed = self._field(reply, "prompt"), True, True
        content = {"content": text, "add_special": framed, "parse_special": special}
        return self._ids(await self._client.post(f"{self._root}/tokenize", content))

    def _ids(self, reply: Any) -> tuple[int, ...]:
        tokens = self._field(reply, "tokens")
        if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
            raise self._client.faults.broke("what it calls tokens are none")
        return tuple(tokens)

    def _field(self, reply: Any, name: str) -> Any:
        if not isinstance(reply, dict) or name not in reply:
            raise self._client.faults.broke(f"it answers without {name!r}")
        return reply[name]

    def _lacks(self, what: str, param: str) -> RemoteLacks:
        hint = "Ask it: the reply's usage has the count."
        return RemoteLacks(self._info.name, self._engine.title, what, param, hint)


def _ours(request: AnyRequest, body: Json) -> Json:
    if isinstance(request, TextRequest):
        return {"model": body["model"], "text": request.prompt, "add_special": request.bos}
    return {name: value for name, value in body.items() if name not in ("stream", "logprobs", "top_logprobs", "n")}


def _vllm(request: AnyRequest, body: Json) -> Json:
    if isinstance(request, TextRequest):
        return {"model": body["model"], "prompt": request.prompt, "add_special_tokens": request.bos}
    names = ("model", "messages", "tools", "continue_final_message", "add_generation_prompt")
    return {name: body[name] for name in names if name in body}
