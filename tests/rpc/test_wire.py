"""What is said of something that cannot be used as a worker, before llama.cpp would end its process over it."""

import socket
import struct

import pytest

from ggufrun.rpc.address import Address
from ggufrun.rpc.wire import WorkerFault, greet
from ggufrun.rpc.workers import Workers
from tests.program import free_port
from tests.rpc.lent import HELLO, LentMachine, answering

OURS = (7, 0, 0)
CAPS = bytes(24)


def fault(address: str, answer_s: float = 5.0) -> WorkerFault:
    with pytest.raises(WorkerFault) as caught:
        greet(Address.read(address), OURS, answer_s)
    assert caught.value.hint and address in caught.value.message and "\n" not in str(caught.value)
    return caught.value


def test_nobody_listens() -> None:
    assert "nobody listens" in fault(f"127.0.0.1:{free_port()}").reason


@pytest.mark.parametrize("version", [(6, 9, 0), (8, 0, 0), (7, 1, 0)])
def test_another_protocol(version: tuple[int, int, int]) -> None:
    with answering(HELLO.pack(28, *version, CAPS)) as address:
        reason = fault(address).reason
    assert ".".join(map(str, version)) in reason and "this side 7.0.0" in reason


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_another_kind_of_server(reply: bytes) -> None:
    with answering(reply) as address:
        assert "something else" in fault(address).reason


def test_a_server_that_hangs_up() -> None:
    with answering(b"", closes=True) as address:
        assert "breaks the connection off" in fault(address).reason


def test_a_server_that_says_nothing() -> None:
    with answering(b"") as address:
        assert "busy, or stuck" in fault(address, answer_s=0.3).reason


def test_an_answer_that_does_not_go_on() -> None:
    with answering(HELLO.pack(28, *OURS, CAPS)[:10]) as address:
        assert "busy, or stuck" in fault(address, answer_s=0.3).reason


def test_a_number_of_devices_that_cannot_be() -> None:
    with answering(HELLO.pack(28, *OURS, CAPS) + struct.pack("<QI", 4, 0)) as address:
        assert "0 devices" in fault(address).reason


def test_all_that_is_missing_is_named() -> None:
    gone = f"127.0.0.1:{free_port()}"
    with answering(HELLO.pack(28, 8, 0, 0, CAPS)) as other:
        missing = Workers((gone, other), OURS).missing()
    assert f"{gone} is not there" in missing and f"{other} speaks version 8.0.0" in missing


def test_a_crash_is_the_workers_only_if_it_looks_so() -> None:
    workers = Workers(("10.0.0.2:50052",), OURS)
    assert "10.0.0.2:50052 broke" in workers.blamed("signal 6; its last line was: ggml-rpc.cpp:569: crashed")
    assert workers.blamed("signal 9 (SIGKILL)") == ""
    assert workers.blamed("signal 9 (SIGKILL); its last line was: RPC0 model buffer size = 4096 MiB") == ""
    assert "10.0.0.2:50052 has stalled" in workers.blamed("no step ended: the RPC worker 10.0.0.2:50052 has stalled")


@pytest.mark.process
def test_a_worker_greets_one_after_the_other_and_a_busy_one_is_told_apart(lent: LentMachine) -> None:
    address = Address.read(lent.address)
    first = greet(address, OURS)
    assert first.protocol == OURS and len(first.devices) == 1
    assert 0 < first.devices[0].free <= first.devices[0].total
    with socket.create_connection(("127.0.0.1", lent.port)) as other:
        other.sendall(b"\x0e" + struct.pack("<Q", 24) + CAPS)
        assert len(other.recv(64)) > 0
        assert "busy, or stuck" in fault(lent.address, answer_s=1.0).reason
    assert greet(address, OURS).devices[0].total == first.devices[0].total
