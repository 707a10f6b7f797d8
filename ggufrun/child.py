"""Python processes that are started beside this one: from where they import, and how they are heard"""

import os
import re
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

_FOLDER: Final = re.compile(r"\S*[/\\](?=[^/\\\s]+:\d+:)")  # where llama.cpp was compiled


def child_environment() -> dict[str, str]:
    """A child imports from where this process does, as multiprocessing's do: a checkout works uninstalled."""
    path = os.pathsep.join(dict.fromkeys(entry or os.getcwd() for entry in sys.path))
    return {**os.environ, "PYTHONPATH": path}


def listen(
    stream: IO[str] | None, hear: Callable[[str], None], end: Callable[[], None] | None = None
) -> threading.Thread:
    """Hands a stream's lines to `hear`, on a thread of its own, until the stream ends."""

    def read() -> None:
        with suppress(OSError, ValueError), stream or open(os.devnull) as lines:  # ValueError: closed
            for line in lines:
                hear(line)
        if end is not None:
            end()

    thread = threading.Thread(target=read, name="child", daemon=True)
    thread.start()
    return thread


def last_words(errors: str) -> str:
    """Of a child's standard error what tells most of its end: ": " and ggml's assertion, or the last line; or ""."""
    lines = errors.strip().splitlines()
    telling = [line for line in lines if "GGML_ASSERT" in line] or lines[-1:]
    return f": {_FOLDER.sub('', telling[-1]).strip()[-300:]}" if telling else ""


def as_text(value: object) -> str:
    """For json.dumps: a path is its text."""
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be asked about")
