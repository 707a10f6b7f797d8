"""How long `ggufrun fit` takes for a file that is not here: a 131k vocabulary, on a hub on this machine.

usage: python -m benchmarks.fit_time [ROUNDS]   (3 unless given)
Prints a line for each way: the header fetched anew, the header kept from before, a file on disk, and the plan alone.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ggufrun.fit.machine import described_machine, machine_here
from ggufrun.fit.planner import make_plan
from ggufrun.fit.subject import Subject, Wishes
from ggufrun.weights.header import read_header
from tests.hub.fake_hub import FakeHub
from tests.hub.fake_repo import FakeFile
from tests.hub.home import Home
from tests.shapes import write

REPO = "unsloth/Mistral-Medium-3.5-128B-GGUF"
SPEC = f"{REPO}:Q4_K_M"
CARD = ("--gpu", "24GiB@1008", "--ram", "64GiB@80")


def seconds(run: Callable[[], object], rounds: int) -> float:
    """The median of the rounds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def asked(home: Home, *arguments: str) -> None:
    done = home.ggufrun("fit", *arguments, "--json")
    if done.returncode != 0:
        raise SystemExit(done.stderr)


def main(rounds: str = "3") -> None:
    count = int(rounds)
    with tempfile.TemporaryDirectory() as folder, FakeHub() as hub:
        path = write("medium-3.5", Path(folder) / "Mistral-Medium-3.5-128B-Q4_K_M.gguf", tekken=True)
        hub.add_repo(REPO, {path.name: FakeFile(path, "5e" * 32)})
        homes = iter([Home(Path(folder) / f"home-{number}", hub.endpoint) for number in range(2 * count + 1)])
        kept = next(homes)
        for name, options in (("this machine", ()), ("24 GB card", CARD)):
            anew = seconds(lambda options=options: asked(next(homes), SPEC, *options), count)  # type: ignore[misc]
            print(f"{name:13} header fetched   {anew:6.2f} s", flush=True)
        print(f"{'':13} bytes fetched    {hub.sent() / (2 * count) / 1e6:6.1f} MB")
        asked(kept, SPEC)
        print(f"{'this machine':13} header kept      {seconds(lambda: asked(kept, SPEC), count):6.2f} s", flush=True)
        print(
            f"{'this machine':13} file on disk     {seconds(lambda: asked(kept, str(path)), count):6.2f} s", flush=True
        )
        subject = Subject(path, (read_header(path),), "flagship")
        machine = described_machine("24GiB@1008", "64GiB@80", machine_here(()))
        for gains in (False, True):
            plan = seconds(lambda gains=gains: make_plan(subject, machine, Wishes(), None, gains=gains), count)  # type: ignore[misc]
            print(f"{'24 GB card':13} plan, {'with' if gains else 'no':>4} gains {plan * 1e3:6.1f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
