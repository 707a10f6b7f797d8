"""`ggufrun page` and `ggufrun` alone, as processes that serve until the test ends."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.api.served import START_S, Served
from tests.program import at_home
from tests.warm_server import started


@contextmanager
def program(home: Path, *arguments: str, **environment: str) -> Iterator[Served]:
    """Until it says where it is; ended with SIGTERM."""
    process = started([*arguments], at_home(home, **environment))
    log: list[str] = []
    told: list[str] = []
    ready = threading.Event()

    def read() -> None:
        for each in process.stderr or ():
            log.append(each)
            if not told and (found := re.search(r"(?:page \S+ \S+ is at|page is at) (http://\S+)", each)):
                told.append(found[1])
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    try:
        assert ready.wait(START_S) and told, "".join(log)
        with httpx.Client(base_url=told[0].replace("0.0.0.0", "127.0.0.1"), timeout=60) as client:
            yield Served(process, client, log)
    finally:
        process.terminate()
        process.wait(60)
