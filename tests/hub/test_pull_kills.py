"""Pulls that are killed with SIGKILL: the next goes on, the file is right, and hardly a byte comes twice.

A chunk is what `ggufrun.hub.transfer` says: a MiB of each worker, which is not on record yet when the kill comes.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from ggufrun.store.checksum import sha256_of
from tests.hub.fake_hub import FakeHub
from tests.hub.home import Home, snapshot
from tests.hub.models import MIB, padded, weights
from tests.hub.pulling import CHUNK, NAME, REPO, start_pull

pytestmark = pytest.mark.process


def _ready(pull: subprocess.Popen[str]) -> None:
    """Returns when the child is about to fetch."""
    assert pull.stdout is not None
    line = pull.stdout.readline()
    if line != "READY\n":
        raise AssertionError(pull.communicate(timeout=30))


def _kill(pull: subprocess.Popen[str]) -> bool:
    """Whether it was still at work."""
    pull.kill()
    pull.communicate(timeout=30)
    return pull.returncode == -9


def _finish(home: Home) -> Path:
    pull = start_pull(home)
    out, err = pull.communicate(timeout=60)
    assert pull.returncode == 0, err
    return Path(out.split()[-1])


def _final_names(home: Home) -> list[Path]:
    """Everything that another program would take for a whole file."""
    blobs = [path for path in home.hub_cache.glob("models--*/blobs/*") if len(path.name) == 64]
    return blobs + list(home.hub_cache.rglob("*.gguf"))


def _killed_often(hub: FakeHub, home: Home, kills: int, size: int, seed: int) -> None:
    data = weights("killed", size)
    commit = hub.add_repo(REPO, {NAME: data})
    hub.bytes_per_s = 3 * MIB  # of each connection
    random, landed = Random(seed), 0
    for _ in range(kills):
        pull = start_pull(home)
        _ready(pull)
        time.sleep(random.uniform(0, 0.2))
        landed += _kill(pull)
        assert all(path.read_bytes() == data for path in _final_names(home))
    assert landed == kills  # else the hub is too fast for this test
    hub.bytes_per_s = None
    path = _finish(home)
    assert path == snapshot(home, REPO, commit) / NAME and path.read_bytes() == data
    assert hub.sent() <= size + kills * CHUNK
    assert [path.name for path in home.hub_cache.glob("models--*/blobs/*")] == [hub.repos[REPO].at(commit).etag(NAME)]  # type: ignore[union-attr]


def test_killed_four_times(hub: FakeHub, home: Home) -> None:
    _killed_often(hub, home, kills=4, size=14 * MIB + 77, seed=4)


@pytest.mark.slow
def test_killed_twenty_times(hub: FakeHub, home: Home) -> None:
    _killed_often(hub, home, kills=20, size=60 * MIB + 77, seed=20)


@pytest.mark.slow
def test_killed_while_the_last_bytes_are_checked_and_named(hub: FakeHub, home: Home) -> None:
    """All has come; what is left is the hash, the name, the link and the record's end."""
    random, landed = Random(7), 0
    hub.bytes_per_s = 12 * MIB  # of each connection; else what counts as sent waits in the sockets' buffers
    for trial in range(8):
        data = weights(f"end {trial}", 24 * MIB)
        commit = hub.add_repo(REPO, {NAME: data})
        hub.log.clear()
        pull = start_pull(home)
        _ready(pull)
        while sum(request.sent for request in list(hub.log) if request.server == "cdn") < len(data):
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.1))
        landed += _kill(pull)
        # Earlier trials' files have other bytes; all of them are right by the name that their sha256 gives them.
        assert all(sha256_of(path) == path.resolve().name for path in _final_names(home))
        assert _finish(home).read_bytes() == data
        assert hub.sent() <= len(data) + CHUNK
        assert commit in str(_finish(home))
    assert landed >= 2  # else it is always over before the kill


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_command_is_killed_at_any_moment(hub: FakeHub, home: Home, tiny_model: Callable[[str], Path]) -> None:
    """While it starts, asks, reads the header, plans and fetches."""
    data = padded(tiny_model("llama-tiny"), 40 * MIB, "command")
    commit = hub.add_repo(REPO, {NAME: data})
    hub.bytes_per_s = MIB  # so that it is not done before most of the kills
    random, kills, landed = Random(11), 20, 0
    command = ["-m", "ggufrun", "pull", f"{REPO}:Q4_K_M", "--mirror", hub.endpoint]
    for _ in range(kills):
        pull = home.start(command)
        time.sleep(random.uniform(0, 4))
        landed += _kill(pull)
        assert all(path.read_bytes() == data for path in _final_names(home))
    assert landed >= kills // 2
    hub.bytes_per_s = None
    done = home.ggufrun(*command[2:])
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{snapshot(home, REPO, commit) / NAME}\n"
    assert Path(done.stdout.strip()).read_bytes() == data
    assert hub.sent() <= len(data) + kills * CHUNK
