"""Pulls from a hub that misbehaves: the right file in the end, or a clear error and nothing under the file's name."""

import time
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from ggufrun.hub_errors import HubError, WrongBytes
from tests.hub.fake_hub import FakeHub
from tests.hub.faults import (
    Cut,
    Drop,
    Expired,
    Fault,
    Html,
    IgnoredRange,
    Slow,
    Stall,
    Status,
    WrongLength,
    WrongRange,
)
from tests.hub.faults import (
    WrongBytes as FlippedByte,
)
from tests.hub.home import Home, snapshot
from tests.hub.models import MIB, weights
from tests.hub.pulling import CHUNK, NAME, REPO, pull_here

pytestmark = pytest.mark.process

SIZE = 20 * MIB + 12_345
DATA = weights("faults", SIZE)


@pytest.fixture
def commit(hub: FakeHub) -> str:
    return hub.add_repo(REPO, {NAME: DATA, "README.md": b"# A model"})


def _pull(hub: FakeHub, home: Home, commit: str) -> None:
    """Pull, and look at all that is there afterwards."""
    path = pull_here(hub, home)
    assert path == snapshot(home, REPO, commit) / NAME
    assert path.read_bytes() == DATA
    assert _blobs(home) == [hub.repos[REPO].revisions["main"].etag(NAME)]  # nothing unfinished beside it
    assert hub.faults.left == []


def _blobs(home: Home) -> list[str]:
    return sorted(path.name for path in home.hub_cache.glob("models--*/blobs/*"))


def _nothing(home: Home) -> bool:
    """Neither a finished file nor a link to one."""
    return not [name for name in _blobs(home) if len(name) == 64] and not list(home.hub_cache.rglob("*.gguf"))


def test_nothing_wrong(hub: FakeHub, home: Home, commit: str) -> None:
    _pull(hub, home, commit)
    assert hub.sent() == SIZE
    assert all(request.range for request in hub.asked("cdn"))
    assert len(hub.asked("hub", "HEAD")) == 1


def test_several_ranges_at_once(hub: FakeHub, home: Home, commit: str) -> None:
    hub.bytes_per_s = 20 * MIB
    _pull(hub, home, commit)
    moments = sorted((at, step) for r in hub.asked("cdn") for at, step in ((r.began, 1), (r.ended or r.began, -1)))
    running, most = 0, 0
    for _, step in moments:
        running += step
        most = max(most, running)
    assert most >= 3


@pytest.mark.parametrize("seed", range(3))
def test_connections_cut_at_random_offsets(hub: FakeHub, home: Home, commit: str, seed: int) -> None:
    random, cuts = Random(seed), 8
    for _ in range(cuts):
        hub.faults.add(Cut(random.randrange(MIB)), skip=random.randrange(2))
    _pull(hub, home, commit)
    assert hub.sent() <= SIZE + cuts * CHUNK


def test_cut_at_once_and_without_a_reply(hub: FakeHub, home: Home, commit: str) -> None:
    for fault in (Cut(0), Drop(), Cut(1), Drop()):
        hub.faults.add(fault)
    _pull(hub, home, commit)


def test_too_many_requests(hub: FakeHub, home: Home, commit: str) -> None:
    hub.faults.add(Status(429, retry_after=1), times=3)
    _pull(hub, home, commit)
    refused = [r for r in hub.asked("cdn") if r.status == 429]
    assert [later for r in refused for later in hub.asked("cdn") if later.range == r.range and later.began > r.began]
    for before in refused:
        again = [r.began for r in hub.asked("cdn") if r.range == before.range and r.began > before.began]
        assert min(again) - before.began > 0.95  # as told
    assert hub.sent() <= SIZE + 3 * 100


@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_server_errors(hub: FakeHub, home: Home, commit: str, code: int) -> None:
    hub.faults.add(Status(code), times=3)
    _pull(hub, home, commit)


@pytest.mark.parametrize("fault", [Status(429, 0), Status(503), Drop()], ids=str)
def test_the_hub_itself_stumbles(hub: FakeHub, home: Home, commit: str, fault: Fault) -> None:
    hub.faults.add(fault, "/api/models/*", on="hub")
    hub.faults.add(fault, NAME, on="hub", method="HEAD")
    _pull(hub, home, commit)


@pytest.mark.parametrize(
    "fault",
    [WrongLength(-100), WrongLength(100), WrongRange(64), WrongRange(-64), Html(), IgnoredRange(), Expired()],
    ids=str,
)
@pytest.mark.parametrize("skip", [0, 3])
def test_a_wrong_answer_once(hub: FakeHub, home: Home, commit: str, fault: Fault, skip: int) -> None:
    hub.faults.add(fault, skip=skip)
    _pull(hub, home, commit)


@pytest.mark.parametrize("fault", [WrongLength(-100), WrongRange(64), Html(), Status(404)], ids=str)
def test_a_wrong_answer_always(hub: FakeHub, home: Home, commit: str, fault: Fault) -> None:
    hub.faults.add(fault, times=None)
    with pytest.raises(HubError) as caught:
        pull_here(hub, home)
    assert caught.value.hint and "\n" not in str(caught.value)
    assert _nothing(home)
    hub.faults.clear()
    _pull(hub, home, commit)


def test_a_server_without_ranges(hub: FakeHub, home: Home, commit: str) -> None:
    hub.bytes_per_s = 40 * MIB  # so that little is in the sockets when a client hangs up
    hub.faults.add(IgnoredRange(), times=None)
    path = pull_here(hub, home)
    assert path.read_bytes() == DATA
    assert [r.sent for r in hub.asked("cdn") if r.sent >= SIZE // 2] == [SIZE]  # one stream, in the end
    assert hub.sent() <= 1.5 * SIZE


def test_a_server_without_ranges_that_breaks_off(hub: FakeHub, home: Home, commit: str) -> None:
    for _ in range(2):
        hub.faults.add(IgnoredRange(), times=4)  # each worker's
        hub.faults.add(Cut(5 * MIB))
    hub.faults.add(IgnoredRange(), times=None)
    assert pull_here(hub, home).read_bytes() == DATA


def test_wrong_bytes_are_refused(hub: FakeHub, home: Home, commit: str) -> None:
    hub.faults.add(FlippedByte(9 * MIB + 1), times=None)
    with pytest.raises(WrongBytes, match=NAME):
        pull_here(hub, home)
    assert _nothing(home)
    assert not [path for path in home.hub_cache.rglob("*") if path.is_file() and path.stat().st_size > MIB]
    hub.faults.clear()
    _pull(hub, home, commit)


def test_links_expire_in_the_middle(hub: FakeHub, home: Home, commit: str) -> None:
    hub.bytes_per_s = 4 * MIB
    hub.faults.add(Expired(), skip=2)
    hub.faults.add(Expired(), skip=5)
    _pull(hub, home, commit)
    assert len(hub.asked("hub", "HEAD")) >= 3  # new links were asked for
    assert hub.sent() < SIZE + 20_000  # and nothing came twice; the refusals have bodies, too


def test_a_slow_hub_and_short_pauses(hub: FakeHub, home: Home, commit: str) -> None:
    for _ in range(3):
        hub.faults.add(Stall(100_000, 0.5))
    hub.faults.add(Slow(3 * MIB), times=None)
    path = pull_here(hub, home)
    assert path.read_bytes() == DATA and hub.sent() == SIZE


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_connection_on_which_nothing_comes_any_more(hub: FakeHub, home: Home, commit: str) -> None:
    hub.faults.add(Stall(100_000, 600))
    start = time.monotonic()
    _pull(hub, home, commit)
    assert time.monotonic() - start < 120


def test_ranges_do_not_overlap(hub: FakeHub, home: Home, commit: str) -> None:
    _pull(hub, home, commit)
    spans = sorted(tuple(map(int, (r.range or "").removeprefix("bytes=").split("-"))) for r in hub.asked("cdn"))
    assert all(first[1] + 1 == second[0] for first, second in pairwise(spans))


def test_many_small_and_one_empty_hole(hub: FakeHub, home: Home, tmp_path: Path) -> None:
    """Sizes around the sizes of pieces."""
    for size in (MIB - 1, MIB, MIB + 1, 4 * MIB, 16 * MIB + 1):
        data = weights(f"size {size}", size)
        hub.add_repo(REPO, {NAME: data})
        assert pull_here(hub, home).read_bytes() == data
