"""A streaming client of any OpenAI-shaped /v1/chat/completions server, which notes when each piece arrived."""

import json
import time
from dataclasses import dataclass
from typing import Any

import httpx

Messages = list[dict[str, str]]


class ServerError(Exception):
    """A server that refused a request, or ended an answer with an error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; `start` and `arrivals` (of each piece of text) in seconds of `time.perf_counter`."""

    text: str
    start: float
    arrivals: tuple[float, ...]
    prompt_tokens: int
    completion_tokens: int
    timings: dict[str, Any]

    @property
    def ttft(self) -> float:
        return self.arrivals[0] - self.start if self.arrivals else 0.0


def user(text: str) -> Messages:
    return [{"role": "user", "content": text}]


class Client:
    """One model behind one server, always greedy and streamed."""

    def __init__(self, base: str, model: str, key: str = "none", timeout: float = 300) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(base_url=base, timeout=timeout, headers=headers, trust_env=False)
        self._model = model

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def ask(self, messages: Messages, max_tokens: int, **extra: Any) -> Answer:
        body = {"model": self._model, "messages": messages, "max_tokens": max_tokens, "temperature": 0} | extra
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        try:
            return await self._stream(body)
        except httpx.RemoteProtocolError:  # a kept-alive connection that the server had closed
            return await self._stream(body)

    async def _stream(self, body: dict[str, Any]) -> Answer:
        start, text, arrivals = time.perf_counter(), list[str](), list[float]()
        usage, timings = dict[str, int](), dict[str, Any]()
        async with self._http.stream("POST", "/v1/chat/completions", json=body) as response:
            if response.status_code != 200:
                raise ServerError(f"HTTP {response.status_code}: {(await response.aread())[:400]!r}")
            async for line in response.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                chunk = json.loads(line[6:])
                usage, timings = chunk.get("usage") or usage, chunk.get("timings") or timings
                for choice in chunk.get("choices", ()):
                    if choice.get("finish_reason") == "error":
                        raise ServerError(line[:400])
                    if piece := choice["delta"].get("content"):
                        arrivals.append(time.perf_counter())
                        text.append(piece)
        # A server that reports no usage: a piece is about a token.
        prompt, completion = usage.get("prompt_tokens", 0), usage.get("completion_tokens", len(text))
        return Answer("".join(text), start, tuple(arrivals), prompt, completion, timings)
