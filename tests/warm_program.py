"""`ggufrun` in processes that fork from one which has its modules already: as separate, and started in no time.

Not for what a start itself shows (imports, settings of Python, signals on the way): for that there is `program`.
"""

import atexit
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from select import select
from typing import Any, Final

from tests.program import ROOT, run_ggufrun

# What the commands import, but for huggingface_hub: it reads its variables when it is imported.
_EARLY: Final = (
    "ggufrun.cli",
    "ggufrun.hub.front",
    "httpx2",
    "numpy",
    "rich.progress",
    *(f"ggufrun.commandline.{name}" for name in ("fit", "listing", "path", "pull", "rm", "search", "show", "verify")),
)


def run_warm(
    *arguments: str, environment: Mapping[str, str], timeout_s: float = 60
) -> "subprocess.CompletedProcess[str]":
    """As `run_ggufrun`, and by way of it where nothing forks."""
    if sys.platform == "win32":
        return run_ggufrun(*arguments, environment=environment, timeout_s=timeout_s)
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        asked = {"arguments": arguments, "environment": dict(environment), "out": str(out), "err": str(err)}
        code = _parent().run(asked, timeout_s)
        told = [file.read_text("utf-8") for file in (out, err)]
    return subprocess.CompletedProcess(arguments, code, *told)


class _Parent:
    """The process that has the modules. One command at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm_program"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        atexit.register(self.close)

    def run(self, asked: dict[str, Any], timeout_s: float) -> int:
        """The exit code, as subprocess has it. A command that takes longer is killed."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        child = self._told()
        if select([self._process.stdout.fileno()], [], [], timeout_s)[0]:
            return self._told()
        os.kill(child, signal.SIGKILL)
        self._told()
        raise subprocess.TimeoutExpired(asked["arguments"], timeout_s)

    def _told(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("tests/warm_program.py ended: what it wrote on standard error says why")
        return int(line)

    def close(self) -> None:
        self._process.communicate()  # its input ends, and so does it


_parent = cache(_Parent)


def _serve() -> int:
    """Give each command a process of its own: this returns in each of those too, so that they end as others do."""
    for module in _EARLY:
        importlib.import_module(module)
    if "huggingface_hub" in sys.modules:
        raise RuntimeError(
            "something in _EARLY imports huggingface_hub, which would keep this process's HF_* variables"
        )
    gc.freeze()  # or each would copy all pages when it collects
    asked_of, tells = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w")
    for line in asked_of:
        child = os.fork()
        if child == 0:
            asked = json.loads(line)
            become(asked)
            return main_of(asked["arguments"])
        for number in (child, None):
            told = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if number is None else number
            print(told, file=tells, flush=True)
    return 0


def become(asked: dict[str, Any]) -> None:
    for fd, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, asked["out"], os.O_WRONLY | os.O_CREAT),
        (2, asked["err"], os.O_WRONLY | os.O_CREAT),
    ):
        opened = os.open(path, flags)
        os.dup2(opened, fd)
        os.close(opened)
    os.environ.clear()
    os.environ.update(asked["environment"])


def main_of(arguments: list[str]) -> int:
    from ggufrun.cli import main

    return main(arguments)


if __name__ == "__main__":
    sys.exit(_serve())
