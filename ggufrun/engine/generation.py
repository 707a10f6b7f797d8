"""The seams between chat and the engine's processes: submit a request, read its events, cancel it."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from typing import Protocol

from ggufrun.engine.types import EmbeddingRequest, EngineEvent, GenerationRequest


class Generation(Protocol):
    """One submitted request. Its events end after `Finished`, `Embedded` or `Failed`."""

    def __aiter__(self) -> AsyncIterator[EngineEvent]: ...

    def cancel(self) -> None:
        """Stop generating within one step; safe to call at any time, more than once, from the event loop."""


class GenerationService(Protocol):
    """One loaded model's engine, seen from the event loop."""

    @property
    def context(self) -> int:
        """Tokens that a prompt and its answer may take together."""

    @property
    def capacity(self) -> int:
        """Requests that it takes at once: those that run and those that wait."""

    def next_id(self) -> int:
        """A request id that this service has not given before."""

    def submit(self, request: GenerationRequest) -> Generation:
        """Queue a request. Raises EngineBusy, EngineCrashed or EngineClosed at once, before anything is sent."""

    def reserve(self, count: int) -> AbstractContextManager["GenerationService"]:
        """This service with places for so many requests: all of them, or it raises what `submit` raises."""


class EmbeddingService(Protocol):
    """One loaded embedding model's engine, seen from the event loop."""

    def next_id(self) -> int:
        """A request id that this service has not given before."""

    def submit(self, request: EmbeddingRequest) -> Generation:
        """Queue a request; its only event is `Embedded`, `Failed` or, once cancelled, `Finished`.

        Raises as `GenerationService.submit` does.
        """
