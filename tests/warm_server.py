"""`ggufrun serve` and other programs that stay, forked from a process which has their modules: as separate, and soon.

Importing Gradio and all else is half of a server's start. Not for what a start itself shows: imports, settings of
Python. `warm_program` has the programs that end by themselves.
"""

import gc
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.program import ROOT
from tests.warm_program import become, main_of

_EARLY: Final = ("ggufrun.commandline.serve", "ggufrun.commandline.page", "ggufrun.api.server", "ggufrun.ui.mount")
_NOT_TWICE: Final = "huggingface_hub"  # Gradio's import; ggufrun's must read the variables of its own process
_LOOK_S: Final = 0.02


class Forked:
    """What the tests use of a `subprocess.Popen`. Standard error is a pipe of text, standard output is nowhere."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self.args, self.returncode = arguments, None
        self._folder = tempfile.TemporaryDirectory()
        errors, self._ended = Path(self._folder.name, "errors"), Path(self._folder.name, "ended")
        os.mkfifo(errors)
        asked = {"arguments": arguments, "environment": environment, "out": os.devnull, "err": str(errors)}
        self.pid = _parent().start({**asked, "folder": os.getcwd(), "ended": str(self._ended)})
        self.stderr = errors.open(encoding="utf-8")

    args: list[str]
    returncode: int | None
    pid: int
    stderr: io.TextIOWrapper

    def poll(self) -> int | None:
        if self.returncode is None and self._ended.exists():
            self.returncode = int(self._ended.read_text())
            self._folder.cleanup()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            time.sleep(_LOOK_S)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Process = subprocess.Popen[str] | Forked


def started(arguments: list[str], environment: dict[str, str], *, warm: bool = True) -> Process:
    """`ggufrun ARGUMENTS`, with its standard error in a pipe. Without `warm` or where nothing forks it imports all."""
    pythons_own = {name for name in environment if name.startswith("PYTHON")}
    if warm and sys.platform != "win32" and all(os.environ.get(name) == environment[name] for name in pythons_own):
        return Forked(arguments, environment)
    command = [sys.executable, "-m", "ggufrun", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


class _Parent:
    """The process that has the modules; it ends with this one, and what it has started does not."""

    def __init__(self) -> None:
        line = [sys.executable, "-m", "tests.warm_server"]
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)

    def start(self, asked: dict[str, Any]) -> int:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        told = self._process.stdout.readline()
        if not told:
            raise RuntimeError("tests/warm_server.py ended: what it wrote on standard error says why")
        return int(told)


_parent = cache(_Parent)


def _serve() -> int:
    """A process beside each program waits for it. This returns in each program, so that it ends as others do."""
    _import()
    asked_of, tells = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w")
    for line in asked_of:
        asked = json.loads(line)
        if os.fork():
            _reap()
            continue
        program = os.fork()
        if program == 0:
            tells.close()
            asked_of.close()
            os.chdir(asked["folder"])
            for name in [each for each in sys.modules if each.partition(".")[0] == _NOT_TWICE]:
                del sys.modules[name]
            become(asked)
            return main_of(asked["arguments"])
        print(program, file=tells, flush=True)
        _keep(program, Path(asked["ended"]))
    return 0


def _import() -> None:
    from ggufrun.ui.gradio_import import prepare

    prepare(Path(tempfile.gettempdir()))  # each page has its own again
    for module in _EARLY:
        importlib.import_module(module)
    tempfile.tempdir = None
    gc.freeze()  # or each would copy all pages when it collects


def _keep(program: int, ended: Path) -> None:
    for fd in (0, 1, 2):
        os.close(fd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program
    code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    told = ended.with_suffix(".part")
    try:
        told.write_text(str(code))
        told.replace(ended)
    finally:
        os._exit(0)


def _reap() -> None:
    """Keepers that have ended."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(_serve())
