"""Embedding requests, batch by batch: inputs of all requests in turn, as many as fit, each a sequence of its own."""

import logging
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ggufrun.engine.backend import EmbeddingBackend
from ggufrun.engine.types import Embedded, EmbeddingRequest, EngineEvent, Failed, Finished, FinishReason, Stats

log = logging.getLogger(__name__)


class _Job:
    """One request while it is worked on."""

    def __init__(self, request: EmbeddingRequest) -> None:
        self.request = request
        self.taken = 0  # inputs that a batch has had
        self.vectors: list[bytes] = []
        self.useless = False  # one of the vectors has no direction

    def add(self, row: npt.NDArray[np.float32]) -> None:
        length = np.linalg.norm(row)
        if not (np.isfinite(length) and length > 0):
            self.useless = True
            return
        self.vectors.append((row / length).astype("<f4").tobytes())


class Embedder:
    """What `Engine` is to generation."""

    def __init__(self, backend: EmbeddingBackend, computing: Callable[[int, bool], None] | None = None) -> None:
        """`computing` as `Engine` has it."""
        self._backend, self._computing = backend, computing
        self._jobs: deque[_Job] = deque()  # those with inputs left

    @property
    def busy(self) -> bool:
        return bool(self._jobs)

    def submit(self, request: EmbeddingRequest) -> None:
        """Queue a request. ValueError for inputs that the model cannot take; its sender checks them before."""
        limits = self._backend.limits
        for tokens in request.inputs:
            if not 1 <= len(tokens) <= limits.context:
                raise ValueError(f"an input of {len(tokens)} tokens where 1 to {limits.context} are possible")
            if not all(0 <= token < limits.vocabulary for token in tokens):
                raise ValueError("a token that the vocabulary does not have")
        if not request.inputs:
            raise ValueError("no inputs")
        self._jobs.append(_Job(request))

    def cancel(self, id: int) -> list[EngineEvent]:
        """Forget a request; returns its end, nothing where it has ended."""
        cancelled = [job.request for job in self._jobs if job.request.id == id]
        self._forget(id)
        return [Finished(id, FinishReason.CANCELLED, Stats(request.prompt_tokens, 0)) for request in cancelled]

    def step(self) -> list[EngineEvent]:
        """Compute one batch; returns the end of every request that it completes, or that it fails."""
        batch = self._take()
        inputs = [job.request.inputs[at] for job, at in batch]
        jobs = list(dict.fromkeys(job for job, _ in batch))
        if self._computing is not None:
            self._computing(sum(map(len, inputs)), True)
        try:
            rows = self._backend.embed(inputs)
        except Exception as error:  # where these requests end; with the context rebuilt, others can go on
            log.exception("embedding failed")
            self._backend.reset()
            return [self._fail(job, f"The engine failed: {type(error).__name__}: {error}") for job in jobs]
        for (job, _), row in zip(batch, rows, strict=True):
            job.add(row)
        return [end for job in jobs if (end := self._end(job)) is not None]

    def close(self) -> None:
        self._backend.close()

    def _end(self, job: _Job) -> EngineEvent | None:
        """The request's last event, None while it goes on."""
        if job.useless:
            return self._fail(job, "The model's numbers are no vector for one of the inputs.")
        done = len(job.vectors) == len(job.request.inputs)
        return Embedded(job.request.id, tuple(job.vectors)) if done else None

    def _fail(self, job: _Job, message: str) -> Failed:
        self._forget(job.request.id)
        return Failed(job.request.id, message)

    def _forget(self, id: int) -> None:
        self._jobs = deque(job for job in self._jobs if job.request.id != id)

    def _take(self) -> Sequence[tuple[_Job, int]]:
        """Inputs for one batch: one of each request in turn, so that a short request need not wait for a long one."""
        limits = self._backend.limits
        taken: list[tuple[_Job, int]] = []
        rows = 0
        while self._jobs and len(taken) < limits.inputs:
            job = self._jobs[0]
            rows += len(job.request.inputs[job.taken])
            if taken and rows > limits.batch:
                break
            taken.append((job, job.taken))
            job.taken += 1
            self._jobs.popleft()
            if job.taken < len(job.request.inputs):
                self._jobs.append(job)
        return taken
