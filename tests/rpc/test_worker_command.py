"""`ggufrun rpc-worker` as a user starts it: what it says, what it refuses, and that it outlives its server."""

import os
import signal
from pathlib import Path

import pytest

from ggufrun.rpc.address import Address
from ggufrun.rpc.wire import WorkerFault, greet
from tests.program import free_port, run_ggufrun
from tests.rpc.lent import LentMachine

pytestmark = pytest.mark.process


def answers(machine: LentMachine) -> bool:
    try:
        return bool(greet(Address.read(machine.address), None).devices)
    except WorkerFault:
        return False


def test_it_says_what_it_offers_comes_back_and_ends_in_order(addon: Path | None, tmp_path: Path) -> None:
    with LentMachine("--memory", "512MiB", "--cache", str(tmp_path / "kept")) as machine:
        assert "1 device (512 MiB free of 512 MiB)" in machine.said[-1] and "RPC version 7." in machine.said[-1]
        assert [device.total for device in greet(Address.read(machine.address), None).devices] == [512 << 20]
        taken = run_ggufrun("rpc-worker", "--listen", machine.address, environment=os.environ)
        assert taken.returncode == 2 and "address already in use" in taken.stderr and taken.stderr.count("\n") == 1
        machine.server().kill()
        machine.until(lambda: "ended (signal 9" in machine.said[-1])
        machine.until(lambda: answers(machine))
        machine.process.send_signal(signal.SIGTERM)
        assert machine.process.wait(30) == 0
    assert not answers(machine)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--listen", "8.8.8.8:50052"), "public address"),
        (("--listen", "0.0.0.0:50052"), "--allow-network"),
        (("--listen", "nowhere"), "no IPv4 address"),
        (("--device", "CUDA7"), "No device is called 'CUDA7'"),
        (("--memory", "much"), "--memory cannot be 'much'"),
    ],
)
@pytest.mark.slow
def test_what_it_refuses_is_one_line(addon: Path | None, options: tuple[str, ...], words: str) -> None:
    listen = () if "--listen" in options else ("--listen", f"127.0.0.1:{free_port()}")
    done = run_ggufrun("rpc-worker", *options, *listen, environment=os.environ)
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1
