"""Saved states are read beside the steps: who waits for one, who does not, and what ends the waiting."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ggufrun.engine.backend import DecodeStatus, MemoryKind, Run
from ggufrun.engine.engine import PATIENCE_S, Engine
from ggufrun.engine.grammar import GrammarCompiler
from ggufrun.engine.kv_cache import KvCache
from ggufrun.engine.prefix_store import LoadedPrefix, PrefixStore, StoredPrefix
from ggufrun.engine.types import FinishReason, GenerationRequest
from ggufrun.settings import EngineSettings
from tests.engine.harness import Clock, Outcome, record, run
from tests.engine.test_engine import check_nothing_leaks
from tests.fake_backend import FakeBackend

CONTEXT = 3000
KEY = "model"


class SlowStore(PrefixStore):
    """The real store, which waits for a sign before it reads a state, and notes the threads that read."""

    def __init__(self, folder: Path, limit: int = 1 << 20) -> None:
        super().__init__(folder, KEY, limit)
        self.began, self.go = threading.Event(), threading.Event()
        self.reads: list[int] = []
        self.stopped: list[bool] = []

    def load(self, stored: StoredPrefix, stopped: Callable[[], bool] = lambda: False) -> LoadedPrefix | None:
        self.reads.append(threading.get_ident())
        self.began.set()
        assert self.go.wait(60)
        self.stopped.append(stopped())
        return super().load(stored, stopped)


def text(first: int, count: int = 400) -> tuple[int, ...]:
    return (first, *(1 + i % 60 for i in range(count - 1)))


def put(store: PrefixStore, tokens: tuple[int, ...]) -> Path:
    assert store.save(tokens, bytes(tokens))
    assert store.finish_writing()
    found = store.match([*tokens, 1])
    assert found is not None
    return found.path


@pytest.fixture
def store(tmp_path: Path) -> SlowStore:
    return SlowStore(tmp_path)


class Bench:
    """An engine whose request 1 runs, and whose later requests find a saved state."""

    def __init__(self, store: PrefixStore, backend: FakeBackend | None = None, parallel: int = 4) -> None:
        self.backend = backend or FakeBackend(context=CONTEXT)
        settings = EngineSettings(parallel=parallel, batch=64, cached_sequences=5, drafting=False)
        grammars = GrammarCompiler.__new__(GrammarCompiler)  # no request of these tests has a grammar
        self.engine = Engine(self.backend, settings, grammars, store, clock=Clock(self.backend))
        self.outcomes: dict[int, Outcome] = {}

    def ask(self, number: int, prompt: tuple[int, ...], most: int = 20) -> GenerationRequest:
        request = GenerationRequest(number, prompt, max_tokens=most, ignore_end=True)
        self.engine.submit(request)
        return request

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            record(self.outcomes, self.engine.step())

    def finish(self) -> None:
        for number, rest in run(self.engine).items():
            known = self.outcomes.setdefault(number, Outcome())
            known.tokens += rest.tokens
            known.finished, known.failed, known.ends = rest.finished, rest.failed, known.ends + rest.ends

    def restored(self, number: int) -> int:
        finished = self.outcomes[number].finished
        assert finished is not None
        return finished.stats.restored_tokens

    def check(self, request: GenerationRequest) -> None:
        outcome = self.outcomes[request.id]
        assert outcome.ends == 1 and outcome.tokens == by_itself(request)


def by_itself(request: GenerationRequest) -> list[int]:
    """What the fake model answers on an engine without a store."""
    backend = FakeBackend(context=CONTEXT)
    settings = EngineSettings(parallel=1, batch=64, drafting=False, share_prefixes=False)
    engine = Engine(backend, settings, GrammarCompiler.__new__(GrammarCompiler), clock=Clock(backend))
    engine.submit(request)
    return run(engine)[request.id].tokens


@pytest.fixture
def bench(store: SlowStore) -> Iterator[Bench]:
    own = Bench(store)
    yield own
    store.go.set()
    own.engine.close()


def test_running_streams_and_later_requests_go_on_while_a_state_is_read(store: SlowStore, bench: Bench) -> None:
    put(store, text(5))
    running = bench.ask(1, (7, 8, 9), most=200)
    bench.step()
    waiting = bench.ask(2, (*text(5), 9))
    later = bench.ask(3, (3, 2, 1))
    bench.step(40)
    assert store.began.wait(60)
    assert len(bench.outcomes[1].tokens) >= 40 and bench.outcomes[3].finished is not None
    assert 2 not in bench.outcomes
    store.go.set()
    bench.finish()
    assert bench.restored(2) == 400 and threading.get_ident() not in store.reads
    for request in (running, waiting, later):
        bench.check(request)


def test_an_engine_that_only_waits_for_a_state_neither_spins_nor_blocks(store: SlowStore, bench: Bench) -> None:
    put(store, text(5))
    bench.ask(2, (*text(5), 9))
    began, used = time.monotonic(), time.thread_time()
    bench.step(10)
    taken = time.monotonic() - began
    assert 5 * PATIENCE_S < taken < 30 and time.thread_time() - used < taken / 2
    assert bench.engine.busy and not bench.outcomes
    store.go.set()
    bench.finish()
    assert bench.restored(2) == 400


def test_requests_for_one_state_read_it_once_and_others_wait_their_turn(store: SlowStore, bench: Bench) -> None:
    put(store, text(5))
    put(store, text(6))
    asked = [bench.ask(2 + i, (*text(5), 10 + i)) for i in range(2)] + [bench.ask(9, (*text(6), 9))]
    bench.step(5)
    assert len(store.reads) == 1
    store.go.set()
    bench.finish()
    assert len(store.reads) == 2
    assert (bench.restored(2), bench.restored(3), bench.restored(9)) == (400, 0, 400)
    stats = bench.outcomes[3].finished
    assert stats is not None and stats.stats.cached_tokens == 400
    for request in asked:
        bench.check(request)


def test_cancel_while_it_is_read_ends_the_request_at_once_and_stops_the_reading(store: SlowStore, bench: Bench) -> None:
    put(store, text(5))
    put(store, text(6))
    bench.ask(2, (*text(5), 9))
    other = bench.ask(3, (*text(6), 9))
    bench.step(3)
    assert store.began.wait(60) and not bench.outcomes
    bench.engine.cancel(2)
    bench.step()
    finished = bench.outcomes[2].finished
    assert finished is not None and finished.reason is FinishReason.CANCELLED and not bench.outcomes[2].tokens
    store.go.set()
    bench.finish()
    assert store.stopped == [True, False] and bench.restored(3) == 400
    bench.check(other)


def test_the_last_request_cancelled_leaves_nothing_to_do(store: SlowStore, bench: Bench) -> None:
    put(store, text(5))
    bench.ask(2, (*text(5), 9))
    bench.step(2)
    bench.engine.cancel(2)
    bench.step()
    assert not bench.engine.busy and bench.backend.used == 0
    store.go.set()
    again = bench.ask(3, (*text(5), 9))
    bench.finish()
    assert bench.restored(3) == 400
    bench.check(again)


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_file_that_is_no_longer_good_is_computed_instead(store: SlowStore, bench: Bench, damage: str) -> None:
    path = put(store, text(5))
    request = bench.ask(2, (*text(5), 9))
    bench.step(2)
    assert store.began.wait(60)
    if damage == "gone":
        path.unlink()
    else:
        data = bytearray(path.read_bytes())
        data[-100] ^= 1
        path.write_bytes(data if damage == "flipped" else data[:-100])
    store.go.set()
    bench.finish()
    assert bench.restored(2) == 0 and not path.exists()
    bench.check(request)


def test_what_is_read_is_not_the_first_to_make_way_on_disk(tmp_path: Path) -> None:
    """Another state is written while this one is read; without the reading, this one would be the oldest."""
    store = SlowStore(tmp_path, limit=4500)  # two states of 400 tokens
    path = put(store, text(5))
    time.sleep(0.02)  # the clock of a file system is coarse
    younger = put(store, text(6))
    time.sleep(0.02)
    found = store.match([*text(5), 1])
    assert found is not None
    store.go.set()
    assert store.load(found) is not None
    time.sleep(0.02)
    put(store, text(7))
    assert path.exists() and not younger.exists()


def test_a_state_evicted_while_it_is_read_is_still_right(store: SlowStore, bench: Bench, tmp_path: Path) -> None:
    path = put(store, text(5))

    class Evicting(PrefixStore):
        """Removes the file behind the reader's back, just after it was opened."""

        def load(self, stored: StoredPrefix, stopped: Callable[[], bool] = lambda: False) -> LoadedPrefix | None:
            def remove() -> bool:
                path.unlink(missing_ok=True)
                self._forget(path)
                return stopped()

            return super().load(stored, remove)

    own = Bench(Evicting(tmp_path, KEY, 1 << 20))
    request = own.ask(2, (*text(5), 9))
    own.finish()
    assert own.restored(2) == 400 and not path.exists()
    own.check(request)
    own.engine.close()


def test_what_was_computed_meanwhile_is_shared_instead(store: SlowStore) -> None:
    """Saved and kept cells of one text: the state that was read is thrown away if the cells are there by then."""
    put(store, text(5))
    backend = FakeBackend(context=CONTEXT)
    kv = KvCache(backend, keep=5, share=True, store=store)
    tokens = [*text(5), 9]
    assert not kv.ready(2, tokens)
    store.go.set()
    slot = kv.acquire(1, list(text(5)))  # another request computes the same text
    assert slot is not None and slot.restored == 0
    for start in range(0, 400, 50):
        backend.decode([Run(slot.seq, start, text(5)[start : start + 50], 0)])
    kv.extend(slot.seq, list(text(5)))
    kv.wait(60)
    assert kv.ready(2, tokens)
    shared = kv.acquire(2, tokens)
    assert shared is not None and (shared.reused, shared.restored) == (400, 0)
    kv.close()


@pytest.mark.parametrize("status", [DecodeStatus.FATAL, DecodeStatus.NO_ROOM])
def test_a_bad_step_does_not_lose_who_waits_for_a_state(store: SlowStore, status: DecodeStatus) -> None:
    put(store, text(5))
    own = Bench(store, FakeBackend(context=CONTEXT, faults={3: status}))
    own.ask(1, (7, 8, 9), most=50)
    own.step()
    request = own.ask(2, (*text(5), 9))
    own.step(4)
    store.go.set()
    own.finish()
    assert own.restored(2) == 400 and own.outcomes[1].ends == 1
    own.check(request)
    own.engine.close()


def test_all_can_fail_while_a_state_is_read(store: SlowStore, bench: Bench) -> None:
    put(store, text(5))
    bench.ask(2, (*text(5), 9))
    bench.step(2)
    record(bench.outcomes, bench.engine.fail_all("it failed"))
    assert bench.outcomes[2].failed is not None and not bench.engine.busy


def test_closing_does_not_wait_for_a_state(store: SlowStore) -> None:
    put(store, text(5))
    own = Bench(store)
    own.ask(2, (*text(5), 9))
    own.step(2)
    assert store.began.wait(60)
    began = time.monotonic()
    own.engine.close()
    assert time.monotonic() - began < 30  # reading it ends with the test
    store.go.set()


def test_no_thread_to_read_with_is_no_fault_of_the_request(
    store: SlowStore, bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, text(5))
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("prefix-loading"):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    request = bench.ask(2, (*text(5), 9))
    bench.finish()
    assert bench.restored(2) == 0 and "can't start new thread" in caplog.text
    bench.check(request)


def test_a_state_without_memory_to_read_it_is_computed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Poor(PrefixStore):
        def load(self, stored: StoredPrefix, stopped: Callable[[], bool] = lambda: False) -> LoadedPrefix | None:
            raise MemoryError

    poor = Poor(tmp_path, KEY, 1 << 20)
    put(poor, text(5))
    own = Bench(poor)
    request = own.ask(2, (*text(5), 9))
    own.finish()
    assert own.restored(2) == 0 and "MemoryError" in caplog.text
    own.check(request)
    own.engine.close()


def test_one_state_is_held_at_most_and_who_asks_later_takes_over(store: SlowStore) -> None:
    put(store, text(5))
    put(store, text(6))
    store.go.set()
    kv = KvCache(FakeBackend(context=CONTEXT), keep=5, share=True, store=store)
    first, second = [*text(5), 9], [*text(6), 9]
    for request, tokens in ((1, first), (2, second), (1, first)):
        assert not kv.ready(request, tokens)
        kv.wait(60)
        assert kv.ready(request, tokens)
    slot = kv.acquire(1, first)
    assert slot is not None and slot.restored == 400 and len(store.reads) == 3
    assert not kv.ready(2, second)
    kv.forget(2)
    kv.close()


@pytest.mark.parametrize("memory", [MemoryKind.FULL, MemoryKind.RECURRENT])
@pytest.mark.parametrize("seed", range(8))
def test_random_traffic_over_saved_states_equals_the_lone_run(tmp_path: Path, memory: MemoryKind, seed: int) -> None:
    rng = random.Random(seed)
    store = PrefixStore(tmp_path, KEY, 4000, whole=memory is not MemoryKind.FULL)  # some three states: it evicts
    stems = [text(first, rng.randrange(300, 600)) for first in range(1, 6)]
    for stem in stems:
        store.save(stem, bytes(stem))
        store.finish_writing()
    own = Bench(store, FakeBackend(context=1500, memory=memory), parallel=3)
    todo = []
    for number in range(16):
        tail = tuple(rng.randrange(1, 60) for _ in range(rng.randrange(1, 20)))
        todo.append(own.ask(number, rng.choice(stems) + tail, most=rng.randrange(1, 60)))
        own.step(rng.randrange(12))
        if rng.random() < 0.2:
            own.engine.cancel(rng.choice(todo).id)
        if rng.random() < 0.3:
            own.engine.idle()
    own.finish()
    for request in todo:
        finished = own.outcomes[request.id].finished
        assert finished is not None and own.outcomes[request.id].ends == 1
        cancelled = finished.reason is FinishReason.CANCELLED
        said, expected = own.outcomes[request.id].tokens, by_itself(request)
        assert said == (expected[: len(said)] if cancelled else expected)
    check_nothing_leaks(own.backend, own.engine)
    own.engine.close()
