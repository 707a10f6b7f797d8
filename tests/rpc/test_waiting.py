"""When llama.cpp waits for a worker: what `engine.patience` is made for."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.program import ROOT
from tests.rpc.asking import WAIT_S
from tests.rpc.lent import LentMachine

pytestmark = pytest.mark.process


class Sending:
    """Asks for steps in another process; each says when it has come to its end."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, word: str) -> threading.Event:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        done = threading.Event()
        threading.Thread(target=self._hear, args=(word, done), daemon=True).start()
        return done

    def _hear(self, word: str, done: threading.Event) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() == word:
            done.set()


@contextmanager
def sending(path: Path, worker: str) -> Iterator[Sending]:
    command = [sys.executable, "-m", "tests.rpc.sending", str(path), worker]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as process:
        try:
            yield Sending(process)
        finally:
            process.kill()


def test_rows_without_outputs_are_only_sent(lent: LentMachine, tiny_model: Callable[[str], Path]) -> None:
    """So a chunk of a prompt tells nothing of how fast a worker is, and the first output is waited for, for all."""
    with sending(tiny_model("llama-tiny"), lent.address) as steps:
        for word in ("send", "send", "read"):  # a first step of a kind asks for memory
            assert steps.ask(word).wait(WAIT_S)
        lent.pause()
        try:
            assert steps.ask("send").wait(WAIT_S)
            read = steps.ask("read")
            assert not read.wait(1)
        finally:
            lent.resume()
        assert read.wait(WAIT_S)
