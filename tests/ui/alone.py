"""`ggufrun page` and `ggufrun` alone, as processes that serve until the test ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.api.served import Served
from tests.listening import address_of
from tests.program import at_home
from tests.warm_server import started


@contextmanager
def program(home: Path, *arguments: str, **environment: str) -> Iterator[Served]:
    """Until it says where it is; ended with SIGTERM."""
    process = started([*arguments], at_home(home, **environment))
    try:
        address, log = address_of(process, r"(?:page \S+ \S+ is at|page is at) (http://\S+)")
        with httpx.Client(base_url=address.replace("0.0.0.0", "127.0.0.1"), timeout=60) as client:
            yield Served(process, client, log)
    finally:
        process.terminate()
        process.wait(60)
