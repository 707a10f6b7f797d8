"""A request's pictures, from wherever it says that they are, before the model sees it: fetched side by side."""

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from ggufrun.api.images.fetching import Budget, Fetcher
from ggufrun.api.images.sources import data_of, is_data
from ggufrun.chat.types import AnyRequest, ChatModel, ChatRequest, ImageChunk, LinkedImage, Message, ModelInfo
from ggufrun.chat.vision import pictures_in, refuse_unseen
from ggufrun.errors import OutOfRange, RequestError, Unsupported

MOST_FETCHED: Final = 64  # pictures of one request
MOST_BYTES: Final = 100_000_000  # of all of them together
MOST_S: Final = 60.0  # for all of them together

T = TypeVar("T", bound=AnyRequest)


class Images:
    """Of one server."""

    def __init__(self, *, urls: bool = True, hosts: Collection[str] = (), fetcher: Fetcher | None = None) -> None:
        """`urls` False: nothing is fetched. `hosts` may be private."""
        self._fetcher = (fetcher or Fetcher(hosts)) if urls else None

    async def brought(self, request: T, info: ModelInfo, known: dict[str, bytes] | None = None) -> T:
        """The request with its pictures in it, for the model that `info` is of. Raises RequestError.

        `known`, by URL, is what requests before have fetched; what this one fetches is added.
        """
        refuse_unseen(request, info)
        links = linked(request)
        if not links or not isinstance(request, ChatRequest):
            return request
        files = await self._files(links, {} if known is None else known)
        return replace(request, messages=tuple(_with(message, files) for message in request.messages))

    async def count(self, model: ChatModel, request: AnyRequest, known: dict[str, bytes] | None = None) -> int:
        """`ChatModel.count_tokens` for a request as it came."""
        return await model.count_tokens(await self.brought(request, model.info, known))

    async def _files(self, links: list[LinkedImage], known: dict[str, bytes]) -> Mapping[str, bytes]:
        """By URL. What is there twice is brought once; the first that fails ends the others."""
        first = {each.url: each for each in reversed(links)}
        far = [each for url, each in first.items() if not is_data(url) and url not in known]
        if len(far) > MOST_FETCHED:
            hint = "Send some of them as data: URLs."
            raise OutOfRange(f"At most {MOST_FETCHED} images of one request are fetched.", hint, far[0].at)
        near = [each for url, each in first.items() if is_data(url)]
        decoded = await asyncio.to_thread(_decoded, near) if near else {}
        budget = Budget(MOST_BYTES)
        try:
            async with asyncio.timeout(MOST_S):
                fetched = dict(await _all([self._fetched(each, budget) for each in far]))
        except TimeoutError as error:
            message = f"The images of this request did not come within {MOST_S:g} s."
            raise RequestError(message, "Send some of them as data: URLs.", far[0].at) from error
        files = {**known, **fetched}
        if sum(map(len, files.values())) <= MOST_BYTES:
            known.update(fetched)
        return {**files, **decoded}

    async def _fetched(self, link: LinkedImage, budget: Budget) -> tuple[str, bytes]:
        if self._fetcher is None:
            raise Unsupported("This server fetches no images.", "Send the image itself, as a data: URL.", link.at)
        try:
            return link.url, await self._fetcher.fetch(link.url, budget)
        except RequestError as error:
            error.param = link.at
            raise


def linked(request: object) -> list[LinkedImage]:
    """The pictures of a request that are still to be brought."""
    messages = request.messages if isinstance(request, ChatRequest) else ()
    return [each for each in pictures_in(messages) if isinstance(each, LinkedImage)]


def _decoded(links: list[LinkedImage]) -> dict[str, bytes]:
    """For a thread, all in one: there may be very many small ones."""
    files = {}
    for link in links:
        try:
            files[link.url] = data_of(link.url)
        except RequestError as error:
            error.param = link.at
            raise
    return files


async def _all(works: list[Coroutine[Any, Any, tuple[str, bytes]]]) -> list[tuple[str, bytes]]:
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _with(message: Message, files: Mapping[str, bytes]) -> Message:
    if not isinstance(message.content, tuple):
        return message
    content = tuple(
        ImageChunk(data=files[part.url], at=part.at) if isinstance(part, LinkedImage) else part
        for part in message.content
    )
    return message.model_copy(update={"content": content})
