"""Finished sequences as cache: what is saved to disk and when, and what makes way for what."""

from pathlib import Path

import pytest

from ggufrun.engine import kv_cache
from ggufrun.engine.backend import Run
from ggufrun.engine.kv_cache import KvCache, Slot
from ggufrun.engine.prefix_store import PrefixStore
from tests.fake_backend import FakeBackend


def text(first: int, count: int = 300) -> list[int]:
    return [first, *(1 + i % 60 for i in range(count - 1))]


def begun(kv: KvCache, tokens: list[int], request: int = 1) -> Slot:
    """A sequence for `tokens`, with what is saved of it read first."""
    for _ in range(2000):
        if kv.ready(request, tokens):
            break
        kv.wait(0.05)
    slot = kv.acquire(request, tokens)
    assert slot is not None
    return slot


def finished(kv: KvCache, backend: FakeBackend, tokens: list[int]) -> int:
    """Compute `tokens` in a sequence that then ends."""
    slot = begun(kv, tokens)
    for start in range(slot.reused, len(tokens), 64):
        part = tokens[start : start + 64]
        backend.decode([Run(slot.seq, start, part, 0)])
        kv.extend(slot.seq, part)
    kv.retire(slot.seq)
    return slot.seq


@pytest.fixture
def store(tmp_path: Path) -> PrefixStore:
    return PrefixStore(tmp_path, "model", 1 << 20)


def test_everything_that_finished_is_saved_though_one_is_written_at_a_time(store: PrefixStore) -> None:
    backend = FakeBackend(context=2000)
    kv = KvCache(backend, keep=8, share=True, store=store)
    for first in range(1, 5):
        finished(kv, backend, text(first))
    assert sum(1 for _ in iter(kv.save_one, False)) < 50
    store.finish_writing()
    for first in range(1, 5):
        assert not store.wants(text(first))


@pytest.mark.parametrize("limit", [1000, 100])
def test_what_is_evicted_is_saved_if_that_is_quick(
    store: PrefixStore, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kv_cache, "QUICK_SAVE", limit)  # a state of the fake backend has one byte a token
    backend = FakeBackend(context=2000)
    kv = KvCache(backend, keep=8, share=True, store=store)
    finished(kv, backend, text(1))
    assert kv.evict()
    store.finish_writing()
    assert store.wants(text(1)) == (limit == 100)


def test_a_state_larger_than_the_disk_cache_is_not_even_made(tmp_path: Path) -> None:
    backend = FakeBackend(context=2000)
    kv = KvCache(backend, keep=8, share=True, store=PrefixStore(tmp_path, "model", 200))
    finished(kv, backend, text(1))
    backend.save = lambda seq: pytest.fail("a state was made")  # type: ignore[method-assign]
    assert kv.save_one() and not kv.save_one()


def test_a_sequence_that_goes_on_is_not_saved_as_if_it_were_over(store: PrefixStore) -> None:
    backend = FakeBackend(context=2000)
    kv = KvCache(backend, keep=8, share=True, store=store)
    seq = finished(kv, backend, text(1))
    assert begun(kv, [*text(1), 7, 8]).seq == seq
    assert not kv.save_one()


def test_a_state_without_room_leaves_the_cache_alone(store: PrefixStore) -> None:
    store.save(text(5, 400), bytes(text(5, 400)))
    store.finish_writing()
    backend = FakeBackend(context=800)
    kv = KvCache(backend, keep=8, share=True, store=store)
    cached = finished(kv, backend, text(1))
    running = begun(kv, text(2))  # it runs: its cells stay
    for start in range(0, 300, 60):
        backend.decode([Run(running.seq, start, text(2)[start : start + 60], 0)])
    kv.extend(running.seq, text(2))
    slot = begun(kv, [*text(5, 400), 9])
    assert slot.restored == 400  # 800 cells: the cached 300 make way
    kv.drop(slot.seq)
    cached = finished(kv, backend, text(1))
    store.save(text(6, 600), bytes(text(6, 600)))
    store.finish_writing()
    assert begun(kv, [*text(6, 600), 9]).restored == 0  # 300 run, so that 600 can never fit
    assert kv.tree.length(cached) == 300


def test_what_a_prompt_shares_is_not_evicted_for_a_state_of_it(store: PrefixStore) -> None:
    base = text(1)
    store.save([*base, *text(3, 500)], bytes([*base, *text(3, 500)]))
    store.finish_writing()
    backend = FakeBackend(context=1000)
    kv = KvCache(backend, keep=8, share=True, store=store)
    source = finished(kv, backend, base)
    slot = begun(kv, [*base, *text(3, 500), 9])
    assert (slot.seq, slot.reused, slot.restored) == (source, len(base), 0)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread"), OSError("no space")])
def test_a_state_that_cannot_be_saved_costs_nothing_but_itself(
    store: PrefixStore, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    class Poor(FakeBackend):
        def save(self, seq: int) -> bytes:
            raise error

    backend = Poor(context=2000)
    kv = KvCache(backend, keep=8, share=True, store=store)
    finished(kv, backend, text(1))
    assert kv.evict() and not kv.evict()
    assert f"could not be saved: {str(error) or 'MemoryError'}." in caplog.text and store.wants(text(1))


def test_a_state_that_the_model_refuses_is_thrown_away(store: PrefixStore) -> None:
    class Strict(FakeBackend):
        def restore(self, seq: int, state: bytes) -> bool:
            return False

    store.save(text(5, 400), bytes(text(5, 400)))
    store.finish_writing()
    slot = begun(KvCache(Strict(context=800), keep=8, share=True, store=store), [*text(5, 400), 9])
    assert slot.reused == 0 and store.match(text(5, 400)) is None
