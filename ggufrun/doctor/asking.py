"""Asks a process of its own, so that a fault of native code ends that process and is a finding: `python -m MODULE`."""

import json
import os
import signal
import subprocess
import sys
from typing import Any, Final

from ggufrun.child import child_environment
from ggufrun.errors import EngineError, GgufrunError

_ILLEGAL_ON_WINDOWS: Final = 0xC000001D
_REFUSED: Final = 3  # the child's exit code where it says what is wrong in its own words


class ChildFailed(EngineError):
    """The process ended without an answer. `illegal`: the processor does not know one of its instructions."""

    def __init__(self, why: str, *, illegal: bool = False) -> None:
        super().__init__(f"llama.cpp's process {why}.")
        self.why, self.illegal = why, illegal


def ask(module: str, *arguments: str, timeout_s: float) -> Any:
    """What the module's process prints as JSON. Raises ChildFailed, or EngineError with the child's own words."""
    command = [sys.executable, "-P", "-m", module, *arguments]  # -P: the current directory is the user's
    try:
        # Windows gives a new console to a process of a program without one.
        done = subprocess.run(
            command,
            env=child_environment() | {"PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except subprocess.TimeoutExpired as error:
        raise ChildFailed(f"did not answer within {timeout_s:g} s and was ended") from error
    if done.returncode == 0:
        return json.loads(done.stdout.decode("utf-8").rstrip().rpartition("\n")[2])
    if done.returncode == _REFUSED:
        told = json.loads(done.stdout)
        raise EngineError(told["message"], told["hint"])
    raise _failed(done.returncode, done.stderr.decode("utf-8", "replace"))


def answer(value: Any) -> None:
    """The child's side: its last line, and nothing runs after it; a GPU's driver may crash on the way out."""
    print(json.dumps(value), flush=True)
    sys.stdout.flush()
    os._exit(0)


def refuse(error: GgufrunError) -> None:
    """The child's side: the error's words for the parent."""
    print(json.dumps({"message": error.message, "hint": error.hint}), flush=True)
    os._exit(_REFUSED)


def _failed(code: int, printed: str) -> ChildFailed:
    if code in (-getattr(signal, "SIGILL", 4), _ILLEGAL_ON_WINDOWS, _ILLEGAL_ON_WINDOWS - (1 << 32)):
        return ChildFailed("was ended for an illegal instruction (SIGILL)", illegal=True)
    last = next((line.strip() for line in reversed(printed.splitlines()) if line.strip()), "")
    said = f": {last[:300].rstrip('.')}" if last else ""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return ChildFailed(f"crashed ({name}){said}")
    return ChildFailed(f"ended with code {code}{said}")
