"""A step that does not come to its end ends the worker, where other machines compute. How long is `test_patience`'s."""

import subprocess
import sys
import threading
import time
from io import BytesIO
from pathlib import Path

import numpy as np

from ggufrun.engine import watchdog
from ggufrun.engine.messages import WorkerSettings
from ggufrun.engine.pipe import PipeWriter
from ggufrun.engine.watchdog import EXIT_STALLED, Watchdog
from ggufrun.engine.worker import _watchdog
from ggufrun.settings import EngineSettings, ModelSettings

LEAST_S = 0.2
ENDED = """
import time
from ggufrun.engine.watchdog import Watchdog, end_process
watch = Watchdog(0.2, end_process(lambda why: print(why, flush=True), "10.0.0.2:50052"))
with watch.step():
    watch.rows(1, True)
with watch.step():
    watch.rows(1, True)
    time.sleep(60)
"""


def test_a_stalled_step_is_given_up_and_not_before_its_time() -> None:
    stalled = threading.Event()
    seen: list[float] = []

    def hear(limit: float) -> None:
        seen.append(limit)
        stalled.set()

    watch = Watchdog(LEAST_S, hear)
    with watch.step():
        watch.rows(10, True)
    begun = time.monotonic()
    with watch.step():
        watch.rows(1, True)
        assert stalled.wait(30)
    assert time.monotonic() - begun >= LEAST_S and len(seen) == 1 and seen[0] >= LEAST_S


def test_idle_time_and_signs_of_life_count_for_nothing() -> None:
    stalled = threading.Event()
    watch = Watchdog(LEAST_S, lambda _: stalled.set())
    with watch.step():
        watch.rows(1, True)
    assert not stalled.wait(3 * LEAST_S)
    with watch.step():
        for _ in range(12):  # longer than a step without any sign may take
            time.sleep(LEAST_S)
            watch.alive()
    assert not stalled.is_set()


def test_work_of_this_process_is_seen() -> None:
    before = watchdog._work()
    numbers = np.ones(1 << 20)
    end = time.monotonic() + 30
    while watchdog._work()[0] - before[0] < 0.2 and time.monotonic() < end:
        numbers += 1
    assert watchdog._work()[0] - before[0] >= 0.2
    rested = watchdog._work()
    time.sleep(1)
    assert watchdog._work()[0] - rested[0] < 0.2


def test_its_end_is_said_and_ends_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", ENDED], capture_output=True, text=True, timeout=120)
    assert done.returncode == EXIT_STALLED
    assert "no step came to its end in" in done.stdout and "10.0.0.2:50052 has stalled" in done.stdout


def test_only_other_machines_are_watched() -> None:
    def watches(*workers: str) -> bool:
        model = ModelSettings(Path("model.gguf"), rpc=workers)
        return _watchdog(WorkerSettings("", model, EngineSettings()), PipeWriter(BytesIO())) is not None

    assert not watches() and watches("10.0.0.2:50052")
