"""How embedding requests become batches, without a model: a text's vector is its length and its first token."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from ggufrun.engine.backend import EmbeddingLimits
from ggufrun.engine.embedder import Embedder
from ggufrun.engine.types import Embedded, EmbeddingRequest, EngineEvent, Failed, Finished, FinishReason, Stats

FATAL, USELESS = 90, 91  # as a text's first token


class FakeBackend:
    limits = EmbeddingLimits(context=16, batch=8, inputs=3, dimensions=2, vocabulary=100)

    def __init__(self) -> None:
        self.batches: list[list[int]] = []  # the texts' lengths
        self.resets = 0

    def embed(self, inputs: Sequence[Sequence[int]]) -> npt.NDArray[np.float32]:
        self.batches.append([len(tokens) for tokens in inputs])
        if any(tokens[0] == FATAL for tokens in inputs):
            raise RuntimeError("no numbers today")
        rows = [(np.nan, 0) if tokens[0] == USELESS else (len(tokens), tokens[0]) for tokens in inputs]
        return np.array(rows, np.float32)

    def reset(self) -> None:
        self.resets += 1

    def close(self) -> None:
        pass


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


def request(id: int, *lengths: int, first: int = 1) -> EmbeddingRequest:
    return EmbeddingRequest(id, tuple((first,) * length for length in lengths))


def run(embedder: Embedder) -> list[EngineEvent]:
    events: list[EngineEvent] = []
    for _ in range(100):
        if not embedder.busy:
            return events
        events += embedder.step()
    raise AssertionError("it does not end")


def vector(length: int, first: int = 1) -> bytes:
    row = np.array([length, first], "<f4")
    return bytes((row / np.linalg.norm(row)).tobytes())


def test_texts_are_packed_as_far_as_they_fit(backend: FakeBackend) -> None:
    embedder = Embedder(backend)
    embedder.submit(request(1, 3, 5, 1, 16, 2, 2, 2, 2))
    assert run(embedder) == [Embedded(1, tuple(map(vector, (3, 5, 1, 16, 2, 2, 2, 2))))]
    assert backend.batches == [[3, 5], [1], [16], [2, 2, 2], [2]]


def test_a_short_request_does_not_wait_for_a_long_one(backend: FakeBackend) -> None:
    embedder = Embedder(backend)
    embedder.submit(request(1, *[2] * 20))
    embedder.submit(request(2, 4))
    embedder.submit(request(3, 1, 1))
    ends = [event.id for event in run(embedder)]
    assert ends == [2, 3, 1] and backend.batches[0] == [2, 4, 1]


def test_a_failed_batch_fails_its_requests_only(backend: FakeBackend) -> None:
    embedder = Embedder(backend)
    embedder.submit(request(1, 4, 4, 4))
    embedder.submit(request(2, 4, first=FATAL))
    embedder.submit(request(3, 5))
    first, second, third = run(embedder)
    assert isinstance(first, Failed) and isinstance(second, Failed) and "no numbers today" in second.message
    assert third == Embedded(3, (vector(5),)) and backend.resets == 1
    embedder.submit(request(4, 2))
    assert run(embedder) == [Embedded(4, (vector(2),))]


def test_a_vector_without_a_direction_fails_its_own_request(backend: FakeBackend) -> None:
    embedder = Embedder(backend)
    embedder.submit(EmbeddingRequest(1, ((1,), (USELESS,), (1,), (1,))))
    embedder.submit(request(2, 3))
    events = {event.id: event for event in run(embedder)}
    assert isinstance(events[1], Failed) and events[2] == Embedded(2, (vector(3),)) and backend.resets == 0


def test_the_rows_of_each_batch_are_told_before_it_is_computed(backend: FakeBackend) -> None:
    told: list[tuple[int, bool, int]] = []
    embedder = Embedder(backend, lambda rows, answered: told.append((rows, answered, len(backend.batches))))
    embedder.submit(request(1, 8, 8, 3))
    run(embedder)
    rows = [sum(batch) for batch in backend.batches]
    assert told == [(count, True, number) for number, count in enumerate(rows)] and sum(rows) == 19


def test_a_cancelled_request_takes_no_more_batches(backend: FakeBackend) -> None:
    embedder = Embedder(backend)
    embedder.submit(request(1, *[8] * 5))
    embedder.step()
    assert embedder.cancel(1) == [Finished(1, FinishReason.CANCELLED, Stats(40, 0))]
    assert embedder.cancel(1) == [] and not embedder.busy and len(backend.batches) == 1


@pytest.mark.parametrize("inputs", [(), ((),), ((1,) * 17,), ((100,),), ((-1,),)])
def test_what_would_abort_llama_cpp_is_refused(backend: FakeBackend, inputs: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValueError):
        Embedder(backend).submit(EmbeddingRequest(1, inputs))
