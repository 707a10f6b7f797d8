"""Pulls that were begun before, elsewhere, or that run at the same time: what is here is never fetched again."""

import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from ggufrun.hub.lock import held_now
from ggufrun.hub.pull import Progress, plan_pull, pull
from ggufrun.hub_errors import HubError
from ggufrun.store.hub_cache import RepoCache
from tests.hub.fake_hub import FakeHub
from tests.hub.faults import Status
from tests.hub.home import Home, snapshot
from tests.hub.models import MIB, split_model, weights
from tests.hub.pulling import CHUNK, NAME, REPO, client_of, listing_of, pull_here, start_pull

pytestmark = pytest.mark.process

SIZE = 12 * MIB + 345
DATA, OTHER = weights("again", SIZE), weights("other", SIZE)


def _broken_off(hub: FakeHub, home: Home, after: int, revision: str | None = None) -> int:
    """A pull that fails when so many requests were answered. Returns the bytes sent."""
    hub.faults.add(Status(404), skip=after, times=None)
    with suppress(HubError):
        pull_here(hub, home, revision=revision)
        raise AssertionError("the pull should have failed")
    hub.faults.clear()
    sent = hub.sent()
    assert 0 < sent < SIZE
    return sent


def _partials(home: Home) -> list[Path]:
    return [path for path in home.hub_cache.glob("models--*/blobs/*") if "incomplete" in path.name]


def test_a_second_pull_fetches_nothing(hub: FakeHub, home: Home) -> None:
    hub.add_repo(REPO, {NAME: DATA})
    path = pull_here(hub, home)
    hub.log.clear()
    assert pull_here(hub, home) == path
    assert hub.asked("cdn") == [] and hub.asked("hub", "HEAD") == []


def test_goes_on_from_where_it_was(hub: FakeHub, home: Home) -> None:
    hub.add_repo(REPO, {NAME: DATA})
    _broken_off(hub, home, after=9)
    assert pull_here(hub, home).read_bytes() == DATA
    assert hub.sent() <= SIZE + CHUNK
    assert _partials(home) == []


def test_a_file_that_changed_upstream(hub: FakeHub, home: Home) -> None:
    first = hub.add_repo(REPO, {NAME: DATA})
    _broken_off(hub, home, after=9)
    second = hub.add_repo(REPO, {NAME: OTHER})
    hub.log.clear()
    path = pull_here(hub, home)
    assert path == snapshot(home, REPO, second) / NAME and path.read_bytes() == OTHER
    assert hub.sent() == SIZE  # from the beginning
    assert _partials(home) == []
    assert not snapshot(home, REPO, first).exists()


@pytest.mark.parametrize(("first", "second"), [("main", "v2"), ("v2", "main")])
def test_what_was_begun_of_another_revision_is_kept(hub: FakeHub, home: Home, first: str, second: str) -> None:
    for revision, data in ((first, DATA), (second, OTHER)):
        hub.add_repo(REPO, {NAME: data}, revision=revision)
    _broken_off(hub, home, after=9, revision=first)
    assert pull_here(hub, home, revision=second).read_bytes() == OTHER
    assert len(_partials(home)) == 2  # with its journal
    assert pull_here(hub, home, revision=first).read_bytes() == DATA
    assert hub.sent() <= 2 * SIZE + CHUNK


def test_what_another_process_removes_meanwhile_is_fetched_again(hub: FakeHub, home: Home) -> None:
    """As `ggufrun rm` does it: it holds the lock, and takes the bytes away after they were seen."""
    commit = hub.add_repo(REPO, {NAME: DATA})
    pull_here(hub, home).unlink()
    store, told = RepoCache(home.hub_cache, REPO), list[Progress]()
    etag = hub.repos[REPO].revisions["main"].etag(NAME)
    client, listing = client_of(hub, home), listing_of(hub, home)
    plan = plan_pull(client, listing, listing.quants[0])
    assert plan.coming == 0
    with held_now(store.lock(etag)):
        thread = Thread(target=pull, args=(client, plan, told.append))
        thread.start()
        deadline = time.monotonic() + 60
        while not told and time.monotonic() < deadline:
            time.sleep(0.01)
        store.blob(etag).unlink()
    thread.join(60)
    assert (told[0].state, told[-1].state) == ("waiting", "here")
    assert (snapshot(home, REPO, commit) / NAME).read_bytes() == DATA


def test_both_states_of_a_file_can_be_here(hub: FakeHub, home: Home) -> None:
    first = hub.add_repo(REPO, {NAME: DATA})
    old = pull_here(hub, home)
    second = hub.add_repo(REPO, {NAME: OTHER})
    new = pull_here(hub, home)
    assert (old.read_bytes(), new.read_bytes()) == (DATA, OTHER)
    assert (old.parent.name, new.parent.name) == (first, second)
    assert (home.hub_cache / "models--owner--Tiny-GGUF" / "refs" / "main").read_text() == second
    assert pull_here(hub, home, revision=first) == old
    assert hub.sent() == 2 * SIZE


def test_a_new_commit_with_the_same_file(hub: FakeHub, home: Home) -> None:
    hub.add_repo(REPO, {NAME: DATA})
    pull_here(hub, home)
    commit = hub.add_repo(REPO, {NAME: DATA, "README.md": b"new"})
    assert pull_here(hub, home) == snapshot(home, REPO, commit) / NAME
    assert hub.sent() == SIZE


def test_what_huggingface_hub_fetched_is_used(hub: FakeHub, home: Home) -> None:
    hub.add_repo(REPO, {NAME: DATA})
    theirs = home.python(f"from huggingface_hub import hf_hub_download; result = hf_hub_download({REPO!r}, {NAME!r})")
    hub.log.clear()
    assert str(pull_here(hub, home)) == theirs
    assert hub.asked("cdn") == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda journal, partial: journal.write_bytes(b"\0\xff{"),
        lambda journal, partial: journal.write_bytes(b""),
        lambda journal, partial: journal.write_bytes(journal.read_bytes()[:-7]),
        lambda journal, partial: journal.unlink(),
        lambda journal, partial: partial.unlink(),
        lambda journal, partial: partial.write_bytes(partial.read_bytes()[: 3 * MIB]),
    ],
    ids=["garbage", "empty", "cut", "no journal", "no partial", "short partial"],
)
def test_what_is_left_of_a_pull_may_be_spoiled(hub: FakeHub, home: Home, spoil: object) -> None:
    hub.add_repo(REPO, {NAME: DATA})
    _broken_off(hub, home, after=9)
    journal = next(path for path in _partials(home) if "journal" in path.name)
    partial = next(path for path in _partials(home) if "journal" not in path.name)
    assert callable(spoil)
    spoil(journal, partial)
    assert pull_here(hub, home).read_bytes() == DATA
    assert _partials(home) == []


def test_finished_shards_are_never_fetched_again(hub: FakeHub, home: Home, tmp_path: Path) -> None:
    shards = split_model(tmp_path / "made")
    assert len(shards) == 3
    hub.add_repo(REPO, shards)
    first, second, third = shards
    hub.faults.add(Status(404), third, times=None)
    with pytest.raises(HubError):
        pull_here(hub, home)
    hub.faults.clear()
    hub.log.clear()
    path = pull_here(hub, home)
    assert (hub.sent(first), hub.sent(second), hub.sent(third)) == (0, 0, len(shards[third]))
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == shards
    assert path.name == first


def test_two_pulls_at_once(hub: FakeHub, home: Home) -> None:
    commit = hub.add_repo(REPO, {NAME: DATA})
    hub.bytes_per_s = 3 * MIB
    pulls = [start_pull(home), start_pull(home)]
    told = [pull.communicate(timeout=60) for pull in pulls]
    assert [pull.returncode for pull in pulls] == [0, 0], told
    path = snapshot(home, REPO, commit) / NAME
    assert [out.split() for out, _ in told] == [["READY", str(path)]] * 2
    assert path.read_bytes() == DATA
    assert hub.sent() == SIZE


def test_two_threads_at_once(hub: FakeHub, home: Home) -> None:
    hub.add_repo(REPO, {NAME: DATA})
    hub.bytes_per_s = 5 * MIB
    found: list[bytes] = []
    threads = [Thread(target=lambda: found.append(pull_here(hub, home).read_bytes())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [DATA] * 3
    assert hub.sent() == SIZE


def test_huggingface_hub_waits_for_us(hub: FakeHub, home: Home) -> None:
    hub.add_repo(REPO, {NAME: DATA})
    hub.bytes_per_s = 2 * MIB
    ours = start_pull(home)
    while not _partials(home):
        assert ours.poll() is None
        time.sleep(0.02)
    theirs = home.python(f"from huggingface_hub import hf_hub_download; result = hf_hub_download({REPO!r}, {NAME!r})")
    out, err = ours.communicate(timeout=60)
    assert out.split()[-1] == theirs, err
    assert hub.sent() == SIZE


def test_the_library_takes_what_we_put_there(hub: FakeHub, home: Home) -> None:
    commit = hub.add_repo(REPO, {NAME: DATA, "config.json": b"{}"})
    path = pull_here(hub, home)
    told = home.python(
        f"""
from huggingface_hub import HfApi, hf_hub_download, scan_cache_dir, try_to_load_from_cache
cache = scan_cache_dir()
result = dict(
    local=hf_hub_download({REPO!r}, {NAME!r}, local_files_only=True),
    online=hf_hub_download({REPO!r}, {NAME!r}),
    tried=try_to_load_from_cache({REPO!r}, {NAME!r}),
    warnings=[str(each) for each in cache.warnings],
    repos=[(r.repo_id, r.size_on_disk, r.nb_files) for r in cache.repos],
    revisions=[(v.commit_hash, sorted(v.refs)) for r in cache.repos for v in r.revisions],
    verified=str(HfApi().verify_repo_checksums({REPO!r}).mismatches),
)"""
    )
    assert told["local"] == told["online"] == told["tried"] == str(path)
    assert told["warnings"] == [] and told["verified"] == "[]"
    assert told["repos"] == [[REPO, SIZE, 1]] and told["revisions"] == [[commit, ["main"]]]
    assert hub.sent() == SIZE
