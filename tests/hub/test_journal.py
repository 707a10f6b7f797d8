"""Spans, the journal, and what a partial file keeps when its process or the machine ends at any moment."""

import errno
import itertools
import os
from pathlib import Path
from random import Random

import pytest

from ggufrun.hub import journal as journal_module
from ggufrun.hub.journal import Journal, Subject, new_journal, read_journal
from ggufrun.hub.partial import Closed, Partial, outdated, remove, usable
from ggufrun.hub.segments import MIB, Span, merged, missing, piece_size, pieces
from ggufrun.hub_errors import DiskFull
from ggufrun.store.hub_cache import RepoCache

ETAG, OTHER = "a" * 64, "b" * 64
SIZE = 10_000
SUBJECT = Subject("model-Q4_K_M.gguf", ETAG, SIZE)


@pytest.fixture
def store(tmp_path: Path) -> RepoCache:
    return RepoCache(tmp_path / "hub", "owner/name")


def _bytes(spans: tuple[Span, ...]) -> set[int]:
    return {at for span in spans for at in range(span.start, span.end)}


def test_spans_are_sets_of_bytes() -> None:
    random = Random(1)
    for _ in range(200):
        ends = [sorted(random.choices(range(60), k=2)) for _ in range(random.randrange(6))]
        spans = [Span(start, end) for start, end in ends]
        low, high = sorted(random.choices(range(60), k=2))
        done = merged(spans)
        assert _bytes(done) == _bytes(tuple(spans))
        assert all(first.end < second.start for first, second in itertools.pairwise(done))
        assert _bytes(missing(done, Span(low, high))) == set(range(low, high)) - _bytes(done)
        cut = pieces(done, 7)
        assert _bytes(tuple(cut)) == _bytes(done) and all(0 < span.size <= 7 for span in cut)


def test_pieces_are_neither_small_nor_large() -> None:
    assert piece_size(100, 4) == MIB
    assert piece_size(64 * MIB, 4) == 4 * MIB  # every worker has several, so that none idles at the end
    assert piece_size(60 << 30, 4) == 32 * MIB


def test_a_journal_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, SUBJECT)
    for span in (Span(0, 10), Span(50, 60), Span(10, 20)):
        journal.mark(span)
    journal.close()
    record = read_journal(path)
    assert record is not None
    assert record.subject == SUBJECT and record.done == (Span(0, 20), Span(50, 60))


def test_a_line_that_was_not_written_whole_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, SUBJECT)
    journal.mark(Span(0, 10))
    journal.mark(Span(10, 9000))
    journal.close()
    whole = path.read_bytes()
    for end in range(len(whole) - len(b"[10,9000]\n"), len(whole)):
        path.write_bytes(whole[:end])
        record = read_journal(path)
        assert record is not None and record.done == (Span(0, 10),)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\0" * 100,
        b"{}\n",
        b"[]\n",
        b'{"version":9,"path":"x","etag":"y","size":9,"boot":""}\n',
        b"nonsense\n[0,10]\n",
    ],
)
def test_what_is_no_journal_is_none(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(text)
    assert read_journal(path) is None
    assert read_journal(tmp_path / "missing") is None


def test_lines_that_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Journal(path, SUBJECT, [Span(0, 5)]).close()
    odd = [
        b"\0\0\0",
        b"[7]",
        b"[1,2,3]",
        b'["a","b"]',
        b"null",
        b"[-5,3]",
        b"[9000,10001]",
        b'{"synced":[[1]]}',
        b"[20,10]",
    ]
    path.write_bytes(path.read_bytes() + b"\n".join([*odd, b"[30,40]", b""]))
    record = read_journal(path)
    assert record is not None and record.done == (Span(0, 5), Span(30, 40))


def test_after_a_restart_of_the_machine_only_synced_bytes_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, SUBJECT, [Span(0, 10)])
    journal.mark(Span(10, 20))
    journal.synced([Span(0, 20)])
    journal.mark(Span(20, 30))
    journal.close()
    record = read_journal(path)
    assert record is not None and record.done == (Span(0, 30),)
    other = tmp_path / "boot_id"
    other.write_text("another-boot\n")
    monkeypatch.setattr(journal_module, "_BOOT_ID", other)
    record = read_journal(path)
    assert record is not None and record.done == (Span(0, 20),)


def test_a_partial_goes_on(store: RepoCache) -> None:
    partial = Partial(store, SUBJECT)
    partial.write(100, b"x" * 50)
    partial.write(0, b"y" * 100)
    partial.close()  # as a kill leaves it: nothing is written on the way out
    again = Partial(store, SUBJECT)
    assert again.done == 150 and again.missing(Span(0, SIZE)) == (Span(150, SIZE),)
    assert again.path.read_bytes() == b"y" * 100 + b"x" * 50 + b"\0" * (SIZE - 150)
    again.write(150, b"z" * (SIZE - 150))
    again.finish(store.blob(ETAG))
    assert [path.name for path in store.blobs.iterdir()] == [ETAG]
    assert store.blob(ETAG).read_bytes() == b"y" * 100 + b"x" * 50 + b"z" * (SIZE - 150)


def test_nothing_is_written_once_it_is_closed(store: RepoCache) -> None:
    partial = Partial(store, SUBJECT)
    partial.close()
    partial.close()
    with pytest.raises(Closed):
        partial.write(0, b"late")
    assert partial.path.read_bytes() == b"\0" * SIZE


@pytest.mark.parametrize("lost", ["partial", "size", "journal"])
def test_half_of_what_was_left_is_nothing(store: RepoCache, lost: str) -> None:
    partial = Partial(store, SUBJECT)
    partial.write(0, b"y" * 100)
    partial.close()
    if lost == "partial":
        partial.path.unlink()
    elif lost == "size":
        os.truncate(partial.path, SIZE - 1)
    else:
        store.journal(ETAG).unlink()
    assert usable(store, SUBJECT) is None
    again = Partial(store, SUBJECT)
    assert again.done == 0 and again.path.read_bytes() == b"\0" * SIZE


def test_a_kill_while_it_begins_anew_leaves_no_old_journal(store: RepoCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old journal beside a new, empty file of the right size would call zeros the file's bytes."""
    partial = Partial(store, SUBJECT)
    partial.write(0, b"y" * 100)
    partial.close()
    partial.path.unlink()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ggufrun.hub.partial.Journal", killed)
    with pytest.raises(KeyboardInterrupt):
        Partial(store, SUBJECT)
    assert store.partial(ETAG).stat().st_size == SIZE
    assert usable(store, SUBJECT) is None


def test_what_is_written_is_synced_now_and_then(store: RepoCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ggufrun.hub.partial._SYNC_EACH", 100)
    partial = Partial(store, SUBJECT)
    partial.write(0, b"y" * 99)
    before = store.journal(ETAG).read_bytes()
    partial.write(99, b"y")
    assert b"synced" not in before.split(b"\n", 2)[2]
    assert store.journal(ETAG).read_bytes().endswith(b'{"synced":[[0,100]]}\n')


def test_a_full_disk_says_so(store: RepoCache, monkeypatch: pytest.MonkeyPatch) -> None:
    partial = Partial(store, SUBJECT)
    partial.write(0, b"y" * 100)

    monkeypatch.setattr(os, "pwrite", _full)
    with pytest.raises(DiskFull) as caught:
        partial.write(100, b"y" * 100)
    assert caught.value.needed == SIZE - 100 and "GB free" in str(caught.value)
    partial.close()
    record = usable(store, SUBJECT)
    assert record is not None and record.done == (Span(0, 100),)


def _full(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("call", ["ftruncate", "fsync", "replace"])
def test_a_disk_that_is_full_at_the_beginning_says_so_and_nothing_is_left(
    store: RepoCache, monkeypatch: pytest.MonkeyPatch, call: str, begun: bool
) -> None:
    if begun:
        partial = Partial(store, SUBJECT)
        partial.write(0, b"y" * 100)
        partial.close()
    with monkeypatch.context() as patch, pytest.raises(DiskFull, match="GB free"):
        patch.setattr(os, call, _full)
        Partial(store, SUBJECT)
    left = [store.partial(ETAG).name, store.journal(ETAG).name] if begun else []
    assert sorted(path.name for path in store.blobs.iterdir()) == sorted(left)
    record = usable(store, SUBJECT)
    assert (record.done if record else ()) == ((Span(0, 100),) if begun else ())


def test_a_quota_that_is_used_up_says_so_before_the_first_folder(
    store: RepoCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "mkdir", _full)
    with pytest.raises(DiskFull):
        Partial(store, SUBJECT)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_is_full_at_the_end_says_so(store: RepoCache, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    partial = Partial(store, SUBJECT)
    partial.write(0, b"y" * SIZE)
    with monkeypatch.context() as patch, pytest.raises(DiskFull):
        patch.setattr(os, call, _full)
        partial.finish(store.blob(ETAG))
    partial.close()
    record = usable(store, SUBJECT)
    assert record is not None and record.done == (Span(0, SIZE),)


def test_a_disk_that_is_full_when_bytes_are_forced_to_it_says_so(
    store: RepoCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ggufrun.hub.partial._SYNC_EACH", 100)
    partial = Partial(store, SUBJECT)
    monkeypatch.setattr(os, "fdatasync", _full, raising=False)
    monkeypatch.setattr(os, "fsync", _full)
    with pytest.raises(DiskFull):
        partial.write(0, b"y" * 100)
    partial.close()


def test_what_the_hub_has_replaced_is_found(store: RepoCache) -> None:
    for subject in (SUBJECT, Subject(SUBJECT.path, OTHER, 500), Subject("another.gguf", "c" * 64, 500)):
        Partial(store, subject).close()
    store.partial("d" * 64).write_bytes(b"without a journal")
    assert outdated(store, SUBJECT, "main") == (OTHER,)
    assert outdated(store, SUBJECT, "v2") == ()
    new_journal(store.journal(OTHER)).touch()
    remove(store, OTHER)
    assert outdated(store, SUBJECT, "main") == ()
    assert not [path for path in store.blobs.iterdir() if path.name.startswith(OTHER)]
