"""The Python SDKs, each in its two forms: one test calls both, and both give the same values."""

import asyncio
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from mistralai.client import Mistral
from openai import AsyncOpenAI, OpenAI

Form = Literal["sync", "async"]
FORMS: tuple[Form, ...] = ("sync", "async")


@dataclass
class Reach:
    """An SDK's client, and the loop that the asynchronous form runs on."""

    client: Any
    form: Form
    runner: asyncio.Runner

    def call(self, method: str, **arguments: Any) -> Any:
        """What the method returns, by its dotted name in the synchronous form: "chat.complete"."""
        found: Any = self.client
        for name in method.split("."):
            found = getattr(found, name)
        if self.form == "async" and isinstance(self.client, Mistral):
            found = getattr(found.__self__, f"{found.__name__}_async")
        result = found(**arguments)
        return self.runner.run(_awaited(result)) if inspect.isawaitable(result) else result

    def read(self, stream: Any) -> list[Any]:
        """All that a stream brings."""
        return self.runner.run(_read(stream)) if self.form == "async" else list(stream)

    def stream(self, method: str, **arguments: Any) -> list[Any]:
        return self.read(self.call(method, **arguments))


async def _awaited(result: Any) -> Any:
    return await result


async def _read(stream: Any) -> list[Any]:
    return [each async for each in stream]


@contextmanager
def mistral(form: Form, address: str, **options: Any) -> Iterator[Reach]:
    with asyncio.Runner() as runner:
        client: Any = Mistral(api_key="local", server_url=address, **options)
        try:
            yield Reach(client, form, runner)
        finally:
            client.__exit__(None, None, None)
            runner.run(client.__aexit__(None, None, None))


@contextmanager
def openai(form: Form, address: str, **options: Any) -> Iterator[Reach]:
    """`options` are the client's; it does not try again unless they say so."""
    with asyncio.Runner() as runner:
        settings: dict[str, Any] = {"api_key": "local", "base_url": f"{address}/v1", "max_retries": 0} | options
        client = OpenAI(**settings) if form == "sync" else AsyncOpenAI(**settings)
        try:
            yield Reach(client, form, runner)
        finally:
            closing = client.close()
            if inspect.isawaitable(closing):
                runner.run(_awaited(closing))
