"""`ggufrun` as a user starts it: a process of its own, with data and caches in a folder of the test's."""

import contextlib
import os
import random
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent


def at_home(home: Path, **more: str) -> dict[str, str]:
    """This process's environment, with ggufrun's own folders in `home`."""
    return os.environ | {"GGUFRUN_HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")} | more


def run_ggufrun(
    *arguments: str, environment: Mapping[str, str], timeout_s: float = 60
) -> "subprocess.CompletedProcess[str]":
    """Run to its end, with nothing on standard input. Its exit code is the caller's to look at."""
    return subprocess.run(
        [sys.executable, "-m", "ggufrun", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout_s,
        env=environment,
        cwd=ROOT,
    )


def free_port() -> int:
    """A port that nobody is given by chance before it is used: below those of outgoing connections and of port 0."""
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as trial:
            trial.bind(("127.0.0.1", port))
            return port
