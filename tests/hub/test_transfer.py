"""The ranged transfer on its own: what is on record while it runs, when it gives up, and how it is stopped."""

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from ggufrun.hub.journal import Subject, read_journal
from ggufrun.hub.lock import held, held_now
from ggufrun.hub.partial import Partial, remove
from ggufrun.hub.pull import Progress, plan_pull, pull
from ggufrun.hub.pull import begun as begun_quant
from ggufrun.hub.pull_plan import MARGIN
from ggufrun.hub.segments import MIB
from ggufrun.hub.source import Source, _wait_s
from ggufrun.hub.transfer import WORKERS, Patience, fetch
from ggufrun.hub_errors import HubError, WrongBytes
from ggufrun.store.checksum import check
from ggufrun.store.hub_cache import RepoCache
from tests.hub.fake_hub import FakeHub
from tests.hub.faults import Drop, IgnoredRange, Stall, Status
from tests.hub.home import Home
from tests.hub.models import noise, weights
from tests.hub.pulling import HASTY, NAME, REPO, client_of, listing_of

SIZE = 6 * MIB + 77
DATA = weights("transfer", SIZE)
ETAG = hashlib.sha256(DATA).hexdigest()


class Begun:
    """A partial file and where its bytes are."""

    def __init__(self, hub: FakeHub, home: Home, data: bytes = DATA) -> None:
        etag = hashlib.sha256(data).hexdigest()
        self.commit = hub.add_repo(REPO, {NAME: data})
        self.store = RepoCache(home.hub_cache, REPO)
        self.partial = Partial(self.store, Subject(NAME, etag, len(data)))
        self.source = Source(client_of(hub, home), REPO, self.commit, NAME, etag)
        self.stop = threading.Event()
        self.told: list[int] = []

    def fetch(self, patience: Patience = HASTY) -> None:
        fetch(self.partial, self.source, self.stop, lambda: self.told.append(self.partial.done), patience)

    def on_record(self) -> int:
        record = read_journal(self.store.journal(self.partial.subject.etag))
        return sum(span.size for span in record.done) if record else 0


@pytest.fixture
def begun(hub: FakeHub, home: Home) -> Iterator[Begun]:
    made = Begun(hub, home)
    yield made
    made.partial.close()


@contextmanager
def _running(begun: Begun) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=begun.fetch)
    thread.start()
    yield thread
    begun.stop.set()
    thread.join(30)


@pytest.mark.process
def test_it_brings_all(begun: Begun) -> None:
    begun.fetch()
    assert begun.partial.path.read_bytes() == DATA
    assert begun.told[-1] == begun.on_record() == SIZE and begun.told == sorted(begun.told)


@pytest.mark.process
def test_a_range_is_on_record_long_before_it_ends(hub: FakeHub, home: Home) -> None:
    """What is sent and not on record is what a kill costs: less than a MiB of each worker."""
    begun = Begun(hub, home, noise("long", 40 * MIB))  # in ranges of 2.5 MiB
    hub.faults.add(Stall(2 * MIB + 100_000, 60), times=None)
    with _running(begun):
        deadline = time.monotonic() + 8  # before the stalled connections are given up
        while begun.on_record() < WORKERS * 2 * MIB and time.monotonic() < deadline:
            time.sleep(0.02)
        assert begun.on_record() == begun.partial.done >= WORKERS * 2 * MIB
    begun.partial.close()


@pytest.mark.process
def test_it_stops_at_once_and_writes_no_more(hub: FakeHub, begun: Begun) -> None:
    hub.bytes_per_s = MIB / 2
    hub.faults.add(Stall(100, 60), times=2)
    with _running(begun) as thread:
        time.sleep(0.5)
        begun.stop.set()
        before = time.monotonic()
        thread.join(30)
        assert time.monotonic() - before < 30
    begun.partial.close()
    left = begun.partial.path.read_bytes()
    time.sleep(0.5)
    assert begun.partial.path.read_bytes() == left and begun.partial.done < SIZE


@pytest.mark.process
def test_it_gives_up_and_says_how_far_it_came(hub: FakeHub, begun: Begun) -> None:
    hub.faults.add(Status(503), times=None)
    with pytest.raises(HubError, match=r"7 times in a row \(HTTP 503\)\. 0\.0 of 6\.3 MB are here.* goes on from"):
        begun.fetch()
    assert len(hub.asked("cdn")) <= 7 * WORKERS


@pytest.mark.process
def test_a_line_that_was_good_is_waited_for_longer(hub: FakeHub, begun: Begun) -> None:
    hub.faults.add(Drop(), skip=1, times=None)
    with pytest.raises(HubError, match="12 times in a row"):
        begun.fetch()
    assert 0 < begun.partial.done < SIZE


@pytest.mark.process
def test_a_server_that_asks_for_too_much_time_is_not_waited_for(hub: FakeHub, begun: Begun) -> None:
    hub.faults.add(Status(429, retry_after=3600), times=None)
    with pytest.raises(HubError, match=r"once.*429, and asks to wait 3600 s"):
        begun.fetch()


@pytest.mark.process
def test_all_workers_make_the_pause_that_one_is_asked_for(hub: FakeHub, begun: Begun) -> None:
    hub.bytes_per_s = 4 * MIB  # a quarter of a second for each range
    hub.faults.add(Status(429, retry_after=1))
    begun.fetch()
    refused = next(request for request in hub.asked("cdn") if request.status == 429)
    later = [request.began for request in hub.asked("cdn") if request.began > refused.began + 0.1]
    assert later and min(later) - refused.began > 0.9


@pytest.mark.process
def test_one_ignored_range_does_not_cost_what_is_here(hub: FakeHub, begun: Begun) -> None:
    hub.faults.add(IgnoredRange(), skip=2, times=2)
    begun.fetch()
    assert begun.partial.path.read_bytes() == DATA
    spans = [(request.range or "").removeprefix("bytes=").split("-") for request in hub.asked("cdn")]
    assert len(spans) == 7 + 2 and all(int(last) - int(first) < MIB for first, last in spans)


@pytest.mark.process
def test_a_hub_that_is_away_for_a_moment_is_asked_again(hub: FakeHub, begun: Begun) -> None:
    hub.faults.add(Drop(), NAME, on="hub", method="HEAD", times=4)  # the client itself asks three times
    begun.fetch()
    assert begun.partial.path.read_bytes() == DATA and hub.faults.left == []


@pytest.mark.process
def test_a_checked_pull_that_was_killed_before_the_end_fetches_nothing(hub: FakeHub, home: Home, begun: Begun) -> None:
    begun.fetch()
    begun.partial.close()
    hub.log.clear()
    plan = plan_pull(client_of(hub, home), (listing := listing_of(hub, home)), listing.quants[0])
    assert 0 < plan.coming < MIB and not plan.files[0].here
    states: list[Progress] = []
    path = pull(client_of(hub, home), plan, states.append)
    assert path.read_bytes() == DATA and hub.asked("cdn") == []
    order = list(dict.fromkeys(progress.state for progress in states))
    assert order == ["fetching", "checking", "here"] and states[-1].done == SIZE


@pytest.mark.process
def test_the_room_of_an_outdated_partial_counts_as_free(
    hub: FakeHub, home: Home, begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun.fetch()
    begun.partial.close()
    hub.add_repo(REPO, {NAME: DATA[::-1]})
    listing = listing_of(hub, home)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=2 * MARGIN))
    plan = plan_pull(client_of(hub, home), listing, listing.quants[0])
    assert plan.coming == SIZE and plan.free - 2 * MARGIN >= SIZE
    remove(begun.store, ETAG)
    assert plan_pull(client_of(hub, home), listing, listing.quants[0]).free == 2 * MARGIN


@pytest.mark.process
def test_what_was_begun_is_gone_on_with(hub: FakeHub, home: Home, begun: Begun) -> None:
    other = "tiny-Q8_0.gguf"
    hub.add_repo(REPO, {NAME: DATA, other: DATA + b"more"})
    client, listing = client_of(hub, home), listing_of(hub, home)
    assert begun_quant(client, listing) is None
    hub.faults.add(Drop(), skip=3, times=None)
    with pytest.raises(HubError):
        pull(client, plan_pull(client, listing, listing.quant("Q8_0")), patience=HASTY)
    hub.faults.clear()
    assert begun_quant(client, listing) == listing.quant("Q8_0")
    pull(client, plan_pull(client, listing, listing.quant("Q8_0")))
    assert begun_quant(client, listing) is None


@pytest.mark.process
def test_a_file_that_is_not_in_lfs(hub: FakeHub, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its listing tells no checksum, and its etag is git's."""
    monkeypatch.setattr("tests.hub.fake_repo.LFS_ENDINGS", ())
    hub.add_repo(REPO, {NAME: DATA[:50_000]})
    listing = listing_of(hub, home)
    plan = plan_pull(client_of(hub, home), listing, listing.quants[0])
    assert listing.quants[0].first.sha256 is None and len(plan.files[0].etag) == 40
    assert pull(client_of(hub, home), plan).read_bytes() == DATA[:50_000]
    assert [path.name for path in plan.store.blobs.iterdir()] == [plan.files[0].etag]


@pytest.mark.process
def test_a_stopped_pull_says_so(hub: FakeHub, home: Home) -> None:
    hub.add_repo(REPO, {NAME: DATA})
    listing, stop = listing_of(hub, home), threading.Event()
    plan = plan_pull(client_of(hub, home), listing, listing.quants[0])
    with pytest.raises(HubError, match="stopped; what came is kept"):
        pull(client_of(hub, home), plan, lambda progress: stop.set(), stop)
    assert not plan.path.exists()


@pytest.mark.process
def test_a_lock_is_waited_for_until_it_is_free_or_one_is_told_to_stop(tmp_path: Path) -> None:
    lock, stop, waits = tmp_path / "locks" / "x.lock", threading.Event(), []
    with held(lock, stop, lambda: waits.append("first")) as ours:
        assert ours and waits == []
        with held_now(lock) as also:
            assert not also
        threading.Timer(0.5, stop.set).start()
        with held(lock, stop, lambda: waits.append("second")) as never:
            assert not never
    assert waits == ["second"]
    with held_now(lock) as now:
        assert now


def test_a_checksum_is_sha256_or_what_git_makes_of_it(tmp_path: Path) -> None:
    path, counts = tmp_path / "x", list[int]()
    path.write_bytes(b"hello\n")
    check(path, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", "x", counts.append)
    assert counts[-1] == 6
    check(path, "ce013625030ba8dba906f756967f9e9ca394464a", "x")  # `git hash-object` says so
    for wrong, kind in (("0" * 64, "sha256"), ("0" * 40, "git checksum")):
        with pytest.raises(WrongBytes, match=f"x came whole, but its {kind} is"):
            check(path, wrong, "x")


def test_retry_after_is_seconds_or_a_date() -> None:
    assert (_wait_s(None), _wait_s("7"), _wait_s("0.5"), _wait_s("-3"), _wait_s("soon")) == (None, 7, 0.5, 0, None)
    later = _wait_s(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True))
    assert later is not None and 55 < later <= 60
    assert _wait_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0
