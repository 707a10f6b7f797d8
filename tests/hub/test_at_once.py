"""One thing done for several items at once: results in order, the first failure, and a Ctrl-C that nobody holds up."""

import _thread
import signal
import threading
import time

import pytest

from ggufrun.hub.at_once import Stopped, at_once
from ggufrun.hub_errors import HubError
from tests.hub.fake_hub import FakeHub
from tests.hub.faults import Stall
from tests.hub.home import Home
from tests.hub.models import MIB, weights
from tests.hub.pulling import NAME, REPO


def test_results_come_in_the_items_order() -> None:
    def slower_first(item: int, stop: threading.Event) -> int:
        stop.wait(0.02 * (3 - item))
        return item * 10

    assert at_once(slower_first, range(4), 2) == [0, 10, 20, 30]
    assert at_once(slower_first, [], 2) == []


def test_the_first_failure_ends_all() -> None:
    seen: list[int] = []

    def failing(item: int, stop: threading.Event) -> None:
        seen.append(item)
        if item == 1:
            raise HubError("one is bad")
        stop.wait(30)
        raise Stopped

    with pytest.raises(HubError, match="one is bad"):
        at_once(failing, range(9), 3)
    assert len(seen) <= 3


def test_who_is_interrupted_does_not_wait_for_threads_that_hang() -> None:
    told, end = threading.Event(), threading.Event()

    def hanging(item: int, stop: threading.Event) -> None:
        stop.wait(60)
        told.set()
        end.wait(60)  # as in a call that takes no notice

    threading.Timer(0.1, _thread.interrupt_main).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        at_once(hanging, range(2), 2)
    assert time.monotonic() - began < 30
    assert told.wait(60)
    end.set()


@pytest.mark.process
def test_ctrl_c_ends_a_command_that_waits_for_a_header(hub: FakeHub, home: Home) -> None:
    hub.add_repo(REPO, {NAME: weights("header", 3 * MIB)})
    hub.faults.add(Stall(100, 60), times=None)
    show = home.start(["-m", "ggufrun", "show", REPO, "--gpu", "none", "--ram", "64GiB"])
    while not any(request.server == "cdn" and request.sent for request in list(hub.log)):
        assert show.poll() is None, show.communicate()
        time.sleep(0.01)
    began = time.monotonic()
    show.send_signal(signal.SIGINT)
    _, err = show.communicate(timeout=50)
    assert (show.returncode, "Traceback" in err) == (130, False), err
    assert time.monotonic() - began < 15  # and not the 20 s of an answer that does not come
