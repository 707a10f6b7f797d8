"""Where a program that serves says it is: on its standard error, in words that the test knows."""

import re
import threading
from typing import Final

from tests.warm_server import Process

START_S: Final = 90.0


def address_of(process: Process, words: str) -> tuple[str, list[str]]:
    """What the regular expression finds first (its group, if it has one), and the lines so far, which go on to grow."""
    log: list[str] = []
    told: list[str] = []
    ready = threading.Event()

    def read() -> None:
        for line in process.stderr or ():
            log.append(line)
            if not told and (found := re.search(words, line)):
                told.append(found[found.re.groups])
                ready.set()
        ready.set()

    threading.Thread(target=read, daemon=True).start()
    assert ready.wait(START_S) and told, "".join(log)
    return told[0], log
