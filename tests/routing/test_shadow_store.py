"""The file of shadow answers: what is kept, for how long, who may read along, and what the pairs add up to."""

import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ggufrun.commandline.shadowing import interval
from ggufrun.errors import ChatNotFound, OptionError
from ggufrun.records.shadow_report import shadow_report
from ggufrun.records.shadows import LONGEST, Agreement, Chosen, ShadowPair, ShadowStore
from tests.routing.shadowed import answer

REAL = answer("Hello there", ("weather", '{"city": "Paris"}'), engine="real")
SHADOW = answer("Hello you", engine="shadow")
PAIR = ShadowPair(1000.0, "route", "d" * 64, 0.7, "different", 0.5, "Say hello", REAL, SHADOW)


@pytest.fixture
def store(tmp_path: Path) -> ShadowStore:
    return ShadowStore(tmp_path / "home" / "shadows.db")


def test_what_is_kept_is_there_again(store: ShadowStore) -> None:
    assert store.listed(Chosen(), 10) == [] and store.clear() == 0 and not store.path.exists()
    failed = replace(PAIR, agreement="failed", shadow=answer(error="It is down.", engine="shadow"))
    first, second = store.add(PAIR), store.add(failed)
    assert store.pair(first) == replace(PAIR, id=first)
    assert [each.id for each in store.listed(Chosen(), 10)] == [second, first]
    assert store.listed(Chosen(), 1, whole=True) == [replace(failed, id=second)]
    with pytest.raises(ChatNotFound):
        store.pair(99)
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    store.close()
    assert ShadowStore(store.path).pair(first).real == REAL


def test_pairs_are_chosen(store: ShadowStore) -> None:
    other = replace(PAIR, route="other", time=2000.0, agreement="text", shadow=replace(SHADOW, engine="third"))
    ids = [store.add(each) for each in (PAIR, other, replace(PAIR, agreement="failed"))]

    def found(**chosen: Any) -> list[int]:
        return [ids.index(each.id) for each in store.listed(Chosen(**chosen), 10)]

    assert found() == [2, 1, 0] and found(route="route") == [2, 0] and found(since=1500.0) == [1]
    assert found(differing=True) == [0] and found(differing=False) == [1] and found(before=ids[2]) == [1, 0]
    assert found(real="real", shadow="third") == [1] and found(route="'; DROP TABLE pairs") == []


def test_long_and_odd_texts(store: ShadowStore) -> None:
    odd = replace(SHADOW, text="\ud800 \x00 ü", tool_calls=(("f\udfff", "x" * (LONGEST + 5)),))
    id = store.add(replace(PAIR, question="q" * 1000, real=replace(REAL, text="x" * (LONGEST + 5)), shadow=odd))
    pair = store.pair(id)
    assert pair.real.text == "x" * LONGEST + "…" and pair.shadow.text == "? \x00 ü"
    assert pair.shadow.tool_calls == (("f?", "x" * LONGEST + "…"),)
    (short,) = store.listed(Chosen(), 1)
    assert short.question == "q" * 300 and len(short.real.text) == 300 and short.shadow.tool_calls == ()


def test_the_oldest_go(tmp_path: Path) -> None:
    few = ShadowStore(tmp_path / "few.db", most_pairs=3)
    ids = [few.add(PAIR) for _ in range(5)]
    assert [each.id for each in few.listed(Chosen(), 10)] == ids[:1:-1]
    small = ShadowStore(tmp_path / "small.db", most_bytes=3000)
    big = replace(PAIR, question="ü" * 600)  # 1200 bytes
    ids = [small.add(big) for _ in range(4)]
    assert [each.id for each in small.listed(Chosen(), 10)] == ids[:1:-1]
    small.add(replace(PAIR, question="x" * 4000))
    assert small.listed(Chosen(), 10) == []  # not even that one


def test_cleared_texts_are_gone_from_the_disk(store: ShadowStore) -> None:
    secret = "swordfish"
    for route in ("one", "two"):
        store.add(replace(PAIR, route=route, question=f"{secret}-{route} " * 500))
    assert store.clear("one") == 1 and store.clear("nothing") == 0
    assert len(store.listed(Chosen(), 10)) == 1 and not _written(store.path, f"{secret}-one")
    other = ShadowStore(store.path)  # as `ggufrun shadow clear` beside a server
    assert other.clear() == 1 and store.listed(Chosen(), 10) == []
    assert not _written(store.path, secret)
    assert store.add(PAIR) > 2  # an id is never used again, and the server goes on


def test_the_oldest_texts_are_gone_from_the_disk_too(tmp_path: Path) -> None:
    few = ShadowStore(tmp_path / "few.db", most_pairs=1)
    for question in ("swordfish " * 500, "Hi"):
        few.add(replace(PAIR, question=question))
    few.close()
    assert not _written(few.path, "swordfish")


def _written(path: Path, text: str) -> bool:
    return any(text.encode() in each.read_bytes() for each in path.parent.iterdir())


def test_several_write_at_once(store: ShadowStore) -> None:
    stores = [store, ShadowStore(store.path)]
    start = threading.Barrier(4)

    def write(number: int) -> None:
        start.wait(60)
        for _ in range(25):
            stores[number % 2].add(PAIR)
            shadow_report(stores[number % 2], Chosen(), interval)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert len(store.listed(Chosen(), 1000)) == 100


def test_a_damaged_file_is_told(store: ShadowStore) -> None:
    store.path.parent.mkdir()
    store.path.write_bytes(b"no database" * 1000)
    with pytest.raises(OptionError, match="Move it away"):
        store.listed(Chosen(), 1)
    with pytest.raises(OptionError, match="Move it away"):
        store.add(PAIR)


def test_a_full_disk_is_told_and_nothing_is_half_written(store: ShadowStore) -> None:
    store.add(PAIR)
    with sqlite3.connect(store.path) as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON pairs BEGIN SELECT RAISE(ABORT, 'no room'); END")
    with pytest.raises(OptionError, match="no room"):
        store.add(PAIR)
    with sqlite3.connect(store.path) as other:
        other.execute("DROP TRIGGER full")
    store.add(PAIR)
    assert len(store.listed(Chosen(), 10)) == 2


def test_what_they_add_up_to(store: ShadowStore) -> None:
    dear = replace(REAL, spent_usd=0.004)
    rows: list[tuple[Agreement, float, float]]
    rows = [("text", 1.0, 0.0), ("json", 1.0, 0.0), ("tools", 1.0, 0.5), ("different", 0.25, 0.5), ("failed", 0.0, 0.0)]
    for at, (kind, similar, temperature) in enumerate(rows):
        shadow = replace(SHADOW, total_s=1.0 + at, ttft_s=None if at == 0 else 0.2, spent_usd=0.001)
        pair = replace(PAIR, agreement=kind, similarity=similar, temperature=temperature, real=dear, shadow=shadow)
        store.add(replace(pair, time=1000.0 + at))
    store.add(replace(PAIR, route="other", time=5000.0, agreement="failed"))
    other, found = shadow_report(store, Chosen(), interval)
    assert (other.route, other.compared, other.failed, other.share, other.saved_usd) == ("other", 0, 1, None, 0.0)
    assert (found.compared, found.failed, found.agreed) == (4, 1, 3)
    assert (found.by_text, found.by_json, found.by_tools, found.sampled) == (1, 1, 1, 2)
    assert (found.share, found.share_lo, found.share_hi) == interval(3, 4) and found.similarity == 0.25
    assert (found.shadow.total_s, found.shadow.ttft_s, found.real.total_s) == (2.5, 0.2, 0.5)
    assert (found.real.prompt_tokens, found.shadow.completion_tokens) == (40, 20)
    assert (found.real.spent_usd, found.shadow.spent_usd, found.saved_usd) == (0.016, 0.004, 0.012)
    assert found.last == 1004.0
    assert shadow_report(store, Chosen(since=1003.0, route="route"), interval)[0].compared == 1
