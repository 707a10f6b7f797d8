"""The disk cache of prefixes: what is saved comes back exactly or not at all, whatever happens to the folder."""

import logging
import multiprocessing
import os
import random
import time
from pathlib import Path

import pytest

from ggufrun.engine.prefix_file import ReadStopped, digest, file_size, read_state
from ggufrun.engine.prefix_store import MIN_TOKENS, PrefixStore

KEY = "model 1, no lora, f16, library 1"
LIMIT = 1 << 20


def open_store(folder: Path, key: str = KEY, limit: int = LIMIT, whole: bool = False) -> PrefixStore:
    return PrefixStore(folder, key, limit, whole)


def numbers(seed: int, count: int) -> list[int]:
    return random.Random(seed).choices(range(1 << 17), k=count)


def put(store: PrefixStore, tokens: list[int], state: bytes = b"state") -> bool:
    accepted = store.save(tokens, state)
    store.finish_writing()
    return accepted


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_a_state_survives_a_restart(tmp_path: Path) -> None:
    tokens, state = numbers(1, 400), random.Random(1).randbytes(5000)
    assert put(open_store(tmp_path), tokens, state)
    store = open_store(tmp_path)
    found = store.match([*tokens[:300], 7, 8, 9])
    assert found is not None and found.length == 300
    assert store.load(found) == (tokens, state)


def test_the_longest_shared_run_wins(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    base = numbers(1, 300)
    put(store, [*base, *numbers(2, 100)], b"short")
    put(store, [*base, 5, 6, 7, *numbers(3, 50)], b"long")
    found = store.match([*base, 5, 6, 7, 1])
    assert found is not None and found.length == 303
    loaded = store.load(found)
    assert loaded is not None and loaded[1] == b"long"


@pytest.mark.parametrize("shared", [0, 1, MIN_TOKENS - 1])
def test_a_short_shared_run_is_no_match(tmp_path: Path, shared: int) -> None:
    store = open_store(tmp_path)
    tokens = numbers(1, 400)
    put(store, tokens)
    assert store.match([*tokens[:shared], *numbers(2, 400)]) is None
    assert store.match(tokens[:shared]) is None
    found = store.match([*tokens[:MIN_TOKENS], *numbers(2, 400)])
    assert found is not None and found.length == MIN_TOKENS


def test_covered_tokens_are_not_saved_again_and_shorter_ones_make_way(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    tokens = numbers(1, 600)
    assert put(store, tokens[:300]) and put(store, tokens)
    assert len(files(tmp_path)) == 1
    assert not store.wants(tokens[:300]) and not put(store, tokens[:300]) and not put(store, tokens)
    assert not put(store, numbers(2, MIN_TOKENS - 1))
    assert store.wants([*tokens, 1])


def test_whole_states_are_kept_beside_longer_ones_and_match_whole(tmp_path: Path) -> None:
    store = open_store(tmp_path, whole=True)
    tokens = numbers(1, 600)
    assert put(store, tokens) and put(store, tokens[:300])
    assert len(files(tmp_path)) == 2
    found = store.match([*tokens[:500], 1])
    assert found is not None and found.length == 300
    found = store.match([*tokens, 1])
    assert found is not None and found.length == 600
    assert store.match(tokens[:300]) is None  # one token must be left to compute


def test_any_damage_is_found_and_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokens, state = numbers(1, 300), bytes(2000)
    chance = random.Random(7)
    size = file_size(len(tokens), len(state))
    for position in [0, 9, 15, 47, 49, 53, *(chance.randrange(size) for _ in range(60)), size - 1]:
        put(open_store(tmp_path), tokens, state)
        (path,) = files(tmp_path)
        before = open_store(tmp_path)  # has read the good header
        data = bytearray(path.read_bytes())
        data[position] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        for store in (before, open_store(tmp_path)):
            found = store.match(tokens)
            assert found is None or store.load(found) is None, f"byte {position}"
            assert store.match(tokens) is None
        assert "is damaged" in caplog.text or "is ignored" in caplog.text
        caplog.clear()
        for path in files(tmp_path):  # a flipped version or key is foreign, not damaged: left alone
            assert 8 <= position < 44
            path.unlink()


def test_a_truncated_file_is_removed(tmp_path: Path) -> None:
    tokens = numbers(1, 300)
    for length in (0, 10, 56, 200, file_size(300, 5) - 1):
        put(open_store(tmp_path), tokens)
        (path,) = files(tmp_path)
        os.truncate(path, length)
        store = open_store(tmp_path)
        assert store.match(tokens) is None and files(tmp_path) == []
        assert put(store, tokens)
        path.unlink()


def test_files_cut_or_removed_under_an_open_store_are_no_match(tmp_path: Path) -> None:
    tokens = numbers(1, 300)
    store = open_store(tmp_path)
    put(store, tokens)
    found = store.match(tokens)
    assert found is not None
    os.truncate(found.path, 100)
    assert store.load(found) is None and store.match(tokens) is None
    put(store, tokens)
    found = store.match(tokens)
    assert found is not None
    found.path.unlink()
    assert store.load(found) is None and store.match(tokens) is None


def test_a_foreign_state_is_ignored_and_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tokens = numbers(1, 300)
    put(open_store(tmp_path, "another model"), tokens)
    (foreign,) = files(tmp_path)
    assert open_store(tmp_path).match(tokens) is None and not caplog.records  # not ours by its name
    disguised = foreign.with_name(digest(KEY.encode()).hex()[:16] + "-0.prefix")
    foreign.rename(disguised)
    assert open_store(tmp_path).match(tokens) is None
    assert "ignored" in caplog.text and disguised.exists()


def test_the_folder_stays_within_its_limit_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    size = file_size(300, 1000)
    store = open_store(tmp_path, limit=3 * size)
    other = open_store(tmp_path, "another model", limit=3 * size)
    prefixes = [numbers(seed, 300) for seed in range(4)]
    past = time.time() - 1000
    for age, tokens in enumerate(prefixes[:3]):
        put(store if age else other, tokens, bytes(1000))
        newest = max(files(tmp_path), key=lambda path: path.stat().st_mtime)
        os.utime(newest, (past + age, past + age))
    used = store.match(prefixes[1])
    assert used is not None and store.load(used) is not None  # the oldest of this model, and now the newest
    put(store, prefixes[3], bytes(1000))
    assert other.match(prefixes[0]) is None  # the least recently used went first, another model's or not
    put(store, numbers(9, 300), bytes(1000))
    assert [store.match(tokens) is not None for tokens in prefixes[1:]] == [True, False, True]
    assert sum(path.stat().st_size for path in files(tmp_path)) <= 3 * size
    assert not put(store, numbers(10, 300), bytes(3 * size))  # never fits


def test_an_unwritable_folder_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    store = open_store(tmp_path / "file" / "cache")
    assert not store.wants(numbers(1, 300)) and not put(store, numbers(1, 300))
    assert store.match(numbers(1, 300)) is None
    assert len(caplog.records) == 1


def test_a_folder_lost_later_is_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "cache"
    store = open_store(folder)
    folder.rmdir()
    folder.write_text("")  # now no folder: writing fails as on a full disk
    assert put(store, numbers(1, 300))
    assert not put(store, numbers(2, 300))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_what_killed_processes_left_is_swept(tmp_path: Path) -> None:
    old, new = tmp_path / "a.1-ff.prefix-part", tmp_path / "a.2-ff.prefix-part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    open_store(tmp_path)
    assert files(tmp_path) == [new]  # another process may be writing it


def _save_many(folder: Path, first: int) -> None:
    store = open_store(folder, limit=8 * file_size(300, 20_000))
    for seed in range(first, first + 15):
        put(store, numbers(seed, 300), seed.to_bytes(2, "little") * 10_000)
        for wanted in range(60):
            found = store.match(numbers(wanted, 300))
            loaded = store.load(found) if found is not None else None
            if loaded is not None and loaded != (numbers(wanted, 300), wanted.to_bytes(2, "little") * 10_000):
                raise SystemExit(1)


def test_processes_share_a_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_save_many, args=(tmp_path, first)) for first in (0, 10, 20)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert all(path.suffix == ".prefix" for path in files(tmp_path))
    assert 0 < len(files(tmp_path)) <= 10


def test_one_store_sees_what_another_writes(tmp_path: Path) -> None:
    reader, writer = open_store(tmp_path), open_store(tmp_path)
    time.sleep(0.02)  # the clock of a file system is coarse
    put(writer, numbers(1, 300), b"shared")
    found = reader.match(numbers(1, 300))
    assert found is not None
    loaded = reader.load(found)
    assert loaded is not None and loaded[1] == b"shared"


def test_hashing_for_nobody_is_given_up(tmp_path: Path) -> None:
    store = open_store(tmp_path, limit=1 << 30)
    tokens = numbers(1, 300)
    assert put(store, tokens, bytes(64 << 20))
    found = store.match(tokens)
    assert found is not None
    asked = 0

    def stopped() -> bool:
        nonlocal asked
        asked += 1
        return asked == 2

    assert store.load(found, stopped) is None and asked == 2
    with pytest.raises(ReadStopped):
        read_state(found.path, digest(KEY.encode()), lambda: True)
    assert found.path.exists() and store.load(found) is not None  # still good
