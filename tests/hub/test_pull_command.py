"""`ggufrun pull` as a user calls it: in a process of its own, with real GGUF files, against the fake hub."""

import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.hub.fake_api import READER, STRANGER
from tests.hub.fake_hub import FakeHub
from tests.hub.fake_repo import FakeFile
from tests.hub.faults import Slow, Status, WrongBytes
from tests.hub.home import Home, snapshot
from tests.hub.models import MIB, padded, projector, split_model
from tests.hub.pulling import CHUNK, NAME, REPO

pytestmark = pytest.mark.process

Model = Callable[[str], Path]
HEADERS = 13 * MIB  # what may be read of a file for its plan
SPEC = f"{REPO}:Q4_K_M"


@pytest.fixture
def data(tiny_model: Model) -> bytes:
    return padded(tiny_model("llama-tiny"), 16 * MIB, "command")


def _files(home: Home, commit: str) -> dict[str, bytes]:
    folder = snapshot(home, REPO, commit)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_shards_and_the_projector(hub: FakeHub, home: Home, tmp_path: Path) -> None:
    files = split_model(tmp_path / "made") | {"mmproj-F16.gguf": projector(tmp_path / "mmproj.gguf")}
    commit = hub.add_repo(REPO, {**files, "tiny-Q8_0.gguf": b"GGUF of another quant", "README.md": b"#"})
    done = home.pull(SPEC)
    assert done.returncode == 0, done.stderr
    assert _files(home, commit) == files
    first = next(iter(files))
    assert str(snapshot(home, REPO, commit) / first) in done.stdout
    told = done.stdout + done.stderr
    assert "Traceback" not in told and all(name in told for name in files)


def test_without_the_projector(hub: FakeHub, home: Home, data: bytes, tmp_path: Path) -> None:
    commit = hub.add_repo(REPO, {NAME: data, "mmproj-F16.gguf": projector(tmp_path / "mmproj.gguf")})
    done = home.pull(SPEC, "--no-mmproj")
    assert done.returncode == 0, done.stderr
    assert _files(home, commit) == {NAME: data}
    assert hub.sent() == hub.sent(NAME) == len(data)  # what was read for the plan is not fetched again


def test_a_dry_run_fetches_headers_only(hub: FakeHub, home: Home, data: bytes) -> None:
    hub.add_repo(REPO, {NAME: data})
    done = home.pull(SPEC, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert hub.sent() <= HEADERS
    assert not list(home.hub_cache.rglob("*.gguf"))
    assert "16.8 MB" in done.stdout + done.stderr  # the total


def test_the_best_that_fits(hub: FakeHub, home: Home, tiny_model: Model) -> None:
    head = tiny_model("llama-tiny")
    files = {f"tiny-{quant}.gguf": padded(head, size * MIB, quant) for quant, size in (("Q2_K", 1), ("Q8_0", 3))}
    huge = home.folder.parent / "huge"
    with huge.open("wb") as stream:
        stream.write(head.read_bytes())
        stream.truncate(1 << 42)
    commit = hub.add_repo(REPO, {**files, "tiny-BF16.gguf": FakeFile(huge, "ab" * 32)})
    done = home.pull(REPO)
    assert done.returncode == 0, done.stderr
    assert list(_files(home, commit)) == ["tiny-Q8_0.gguf"]


def test_again_is_nothing(hub: FakeHub, home: Home, data: bytes) -> None:
    hub.add_repo(REPO, {NAME: data})
    first = home.pull(SPEC)
    hub.log.clear()
    second = home.pull(SPEC)
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert hub.asked("cdn") == []  # not even a header
    assert first.stdout.split()[-1] == second.stdout.split()[-1]


def test_two_at_once(hub: FakeHub, home: Home, data: bytes) -> None:
    commit = hub.add_repo(REPO, {NAME: data})
    hub.bytes_per_s = 12 * MIB
    pulls = [home.start(["-m", "ggufrun", "pull", SPEC, "--mirror", hub.endpoint]) for _ in range(2)]
    told = [pull.communicate(timeout=60) for pull in pulls]
    assert [pull.returncode for pull in pulls] == [0, 0], told
    assert {out for out, _ in told} == {f"{snapshot(home, REPO, commit) / NAME}\n"}
    assert _files(home, commit) == {NAME: data}
    assert hub.sent() == len(data)


def _killed_in_the_middle(hub: FakeHub, home: Home, number: signal.Signals) -> tuple[int, str]:
    """Ends a pull when half of the file was sent. Returns its exit code and what it said."""
    hub.faults.add(Slow(MIB / 8), skip=1, times=None)  # all but what is read for the plan
    pull = home.start(["-m", "ggufrun", "pull", SPEC, "--mirror", hub.endpoint])
    while not list(home.hub_cache.glob("models--*/blobs/*.incomplete")):
        assert pull.poll() is None, pull.communicate()
        time.sleep(0.02)
    time.sleep(0.7)
    pull.send_signal(number)
    _, err = pull.communicate(timeout=60)
    hub.faults.clear()
    assert not list(home.hub_cache.rglob("*.gguf"))
    return pull.returncode, err


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGKILL, signal.SIGTERM))],
)
def test_goes_on_after_an_end(hub: FakeHub, home: Home, data: bytes, number: signal.Signals) -> None:
    commit = hub.add_repo(REPO, {NAME: data})
    code, err = _killed_in_the_middle(hub, home, number)
    assert code == {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: code}[number]
    assert code != 0 and "Traceback" not in err
    done = home.pull(SPEC)
    assert done.returncode == 0, done.stderr
    assert _files(home, commit) == {NAME: data}
    assert hub.sent() <= len(data) + CHUNK


def test_wrong_bytes(hub: FakeHub, home: Home, data: bytes) -> None:
    hub.add_repo(REPO, {NAME: data})
    hub.faults.add(WrongBytes(15 * MIB), times=None)
    done = home.pull(SPEC)
    _failed(done.returncode, done.stderr, 1, NAME)
    assert not list(home.hub_cache.rglob("*.gguf"))


def _failed(code: int, err: str, expected: int, *words: str) -> None:
    """One line that says what to do, behind what was shown before."""
    assert code == expected, err
    last = err.strip().splitlines()[-1]
    assert last.startswith("ggufrun: ") and "Traceback" not in err
    assert all(word in last for word in words), last


@pytest.mark.parametrize(
    ("token", "words"),
    [(None, ("gated", f"https://huggingface.co/{REPO}", "HF_TOKEN")), (STRANGER, ("gated", "try again"))],
)
def test_gated(hub: FakeHub, home: Home, data: bytes, token: str | None, words: tuple[str, ...]) -> None:
    hub.add_repo(REPO, {NAME: data}, gated=True)
    done = home.pull(SPEC, **({"HF_TOKEN": token} if token else {}))
    _failed(done.returncode, done.stderr, 2, *words)
    assert hub.sent() == 0


def test_with_a_token_that_may(hub: FakeHub, home: Home, data: bytes) -> None:
    commit = hub.add_repo(REPO, {NAME: data}, gated=True, private=True)
    done = home.pull(SPEC, HF_TOKEN=READER)
    assert done.returncode == 0, done.stderr
    assert _files(home, commit) == {NAME: data}
    assert READER not in done.stdout + done.stderr
    assert not any(request.had_auth for request in hub.log if request.server == "cdn")


def test_private_missing_and_a_wrong_token(hub: FakeHub, home: Home, data: bytes) -> None:
    hub.add_repo(REPO, {NAME: data}, private=True)
    hub.add_repo("owner/open", {NAME: data})
    done = home.pull(SPEC)
    _failed(done.returncode, done.stderr, 2, REPO, "private", "HF_TOKEN")
    done = home.pull("owner/missing")
    _failed(done.returncode, done.stderr, 2, "owner/missing", "ggufrun search")
    done = home.pull("owner/open:Q4_K_M", HF_TOKEN="hf_outdated")
    _failed(done.returncode, done.stderr, 2, "token", "HF_TOKEN")
    assert "hf_outdated" not in done.stderr


def test_a_quant_or_a_revision_that_is_not_there(hub: FakeHub, home: Home, data: bytes) -> None:
    hub.add_repo(REPO, {NAME: data})
    done = home.pull(f"{REPO}:Q5_K_M")
    _failed(done.returncode, done.stderr, 2, "Q5_K_M", "Q4_K_M")
    done = home.pull(SPEC, "--revision", "v9")
    _failed(done.returncode, done.stderr, 2, "v9", "--revision")


def test_offline(hub: FakeHub, home: Home, data: bytes) -> None:
    commit = hub.add_repo(REPO, {NAME: data})
    done = home.pull(SPEC, HF_HUB_OFFLINE="1")
    _failed(done.returncode, done.stderr, 1, "HF_HUB_OFFLINE")
    assert home.pull(SPEC).returncode == 0
    hub.log.clear()
    done = home.pull(SPEC, HF_HUB_OFFLINE="1")
    assert hub.log == []
    if done.returncode == 0:
        assert str(snapshot(home, REPO, commit) / NAME) in done.stdout
    else:
        _failed(done.returncode, done.stderr, 1, "HF_HUB_OFFLINE", NAME)  # what is here is named


def test_a_disk_that_cannot_hold_it(hub: FakeHub, home: Home, tiny_model: Model, tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as stream:
        stream.write(tiny_model("llama-tiny").read_bytes())
        stream.truncate(1 << 42)
    hub.add_repo(REPO, {NAME: FakeFile(huge, "ab" * 32)})
    done = home.pull(SPEC)
    _failed(done.returncode, done.stderr, 2, "GB free", "4,398.0 GB", "ggufrun rm")
    assert hub.sent() <= HEADERS
    assert not list(home.hub_cache.glob("models--*/blobs/*"))


def test_nobody_answers(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
    began = time.monotonic()
    done = home.ggufrun("pull", SPEC, "--mirror", address)
    _failed(done.returncode, done.stderr, 1, address)
    assert time.monotonic() - began < 20


def test_the_hub_fails_for_good(hub: FakeHub, home: Home, data: bytes) -> None:
    hub.add_repo(REPO, {NAME: data})
    hub.faults.add(Status(500), "/api/models/*", on="hub", times=None)
    done = home.pull(SPEC)
    _failed(done.returncode, done.stderr, 1, "500")


def test_the_hub_that_the_environment_names(hub: FakeHub, home: Home, data: bytes, tmp_path: Path) -> None:
    commit = hub.add_repo(REPO, {NAME: data})
    done = home.ggufrun("pull", SPEC, HF_ENDPOINT=hub.endpoint, HF_HUB_CACHE=str(tmp_path / "elsewhere"))
    assert done.returncode == 0, done.stderr
    path = tmp_path / "elsewhere" / "models--owner--Tiny-GGUF" / "snapshots" / commit / NAME
    assert done.stdout == f"{path}\n" and path.read_bytes() == data
    assert not home.hub_cache.exists()


def test_by_way_of_a_proxy(hub: FakeHub, home: Home, data: bytes) -> None:
    commit = hub.add_repo(REPO, {NAME: data})
    proxied = {"HTTP_PROXY": hub.endpoint, "http_proxy": hub.endpoint, "NO_PROXY": "", "no_proxy": ""}
    done = home.ggufrun("pull", SPEC, "--mirror", "http://hub.invalid", **proxied)
    assert done.returncode == 0, done.stderr
    assert _files(home, commit) == {NAME: data}
