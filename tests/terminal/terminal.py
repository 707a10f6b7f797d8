"""A program on a real pseudo-terminal: what a person types goes in, what a person sees comes out."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>78]")


def _take_the_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job, such as a suite may run in, ignores it


class Terminal:
    """Runs `python -m MODULE ARGS…` with a terminal of 100 columns as its three streams."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self._near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        known = {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "PYTHONPATH": os.getcwd()}
        inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=far,
            stdout=far,
            stderr=far,
            env={**inherited, **known, **environment},
            start_new_session=True,
            preexec_fn=_take_the_terminal,
        )
        os.close(far)
        self.raw = ""
        self._seen = 0

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._near)

    def type(self, text: str) -> None:
        os.write(self._near, text.encode())

    def interrupt_from_outside(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def see(self, pattern: str, within: float = 15.0) -> str:
        """What came up to the pattern since the last call, waiting for it; colours and cursor moves are left out."""
        end = time.monotonic() + within
        while True:
            text = _CODES.sub("", self.raw)
            found = re.compile(pattern).search(text, self._seen)
            if found:
                before, self._seen = text[self._seen : found.end()], found.end()
                return before
            if not self._read(end):
                raise AssertionError(f"{pattern!r} did not show up within {within} s in {text[self._seen :]!r}")

    def exit_code(self, within: float = 15.0) -> int:
        """Wait for the end, reading on so that the program is not held up."""
        end = time.monotonic() + within
        while self._read(end):
            pass
        return self.process.wait(timeout=max(0.1, end - time.monotonic()))

    def _read(self, end: float) -> bool:
        """Take what is there; False at the end of the output or of the time."""
        ready, _, _ = select.select([self._near], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            return False
        try:
            piece = os.read(self._near, 65536)
        except OSError:  # Linux's word for "the other side has closed"
            return False
        self.raw += piece.decode("utf-8", "replace")
        return bool(piece)
