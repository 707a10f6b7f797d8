"""Two machines, as far as the network is concerned: two namespaces with a virtual cable. Needs root and iproute2."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.program import ROOT
from tests.rpc.lent import LentMachine

pytestmark = pytest.mark.slow
FIRST, SECOND = "10.93.7.1", "10.93.7.2"
PORT = 50052


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@pytest.fixture
def cable() -> Iterator[tuple[str, str]]:
    """The names of two namespaces, at FIRST and SECOND."""
    if shutil.which("ip") is None:
        pytest.skip("no `ip` command: apt-get install iproute2")
    first, second = (f"ggufrun-{os.getpid()}-{side}" for side in "ab")
    inner = (f"gg{os.getpid() % 10_000}a", f"gg{os.getpid() % 10_000}b")
    try:
        ip("netns", "add", first)
        ip("netns", "add", second)
        ip("link", "add", inner[0], "netns", first, "type", "veth", "peer", "name", inner[1], "netns", second)
        for space, name, address in ((first, inner[0], FIRST), (second, inner[1], SECOND)):
            ip("-n", space, "address", "add", f"{address}/24", "dev", name)
            ip("-n", space, "link", "set", name, "up")
            ip("-n", space, "link", "set", "lo", "up")
    except OSError as error:
        for space in (first, second):
            subprocess.run(["ip", "netns", "delete", space], capture_output=True)
        pytest.skip(f"no namespaces here: {error}")
    yield first, second
    for space in (first, second):
        ip("netns", "delete", space)


@contextmanager
def second_machine(space: str) -> Iterator[LentMachine]:
    prefix = ("ip", "netns", "exec", space)
    with LentMachine("--listen", f"{SECOND}:{PORT}", prefix=prefix) as machine:
        yield machine


def ask(model: Path, environment: dict[str, str], *workers: str, prefix: tuple[str, ...] = ()) -> str:
    """The answer, or what is wrong."""
    command = [*prefix, sys.executable, "-m", "tests.rpc.asking", str(model), *workers]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, env=environment, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_same_answer_over_a_cable(
    addon: Path | None, cable: tuple[str, str], demo_path: Path, tmp_path: Path
) -> None:
    first, second = cable
    environment = os.environ | {"GGUFRUN_HOME": str(tmp_path)}  # the add-on lies in the real cache
    inside = ("ip", "netns", "exec", first)
    alone = ask(demo_path, environment)
    remote = f"{SECOND}:{PORT}"
    assert "cannot be reached" in ask(demo_path, environment, f"10.93.8.2:{PORT}", prefix=inside)
    assert "nobody listens" in ask(demo_path, environment, remote, prefix=inside)
    with second_machine(second) as machine:
        assert any("no keys and no encryption" in line for line in machine.said)
        assert ask(demo_path, environment, remote, prefix=inside) == alone
        ip("-n", second, "link", "set", "lo", "down")  # only the cable counts
        assert ask(demo_path, environment, remote, prefix=inside) == alone
