"""Long commands with something to look at: a progress line, the log in a file, and its end where one fails."""

from __future__ import annotations

import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


class InstallError(Exception):
    """Something that the user has to do first, in words."""


def say(text: str) -> None:
    print(f"ggufrun: {text}", flush=True)


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class Progress:
    """One line that is rewritten on a terminal, and a line every 15 seconds elsewhere."""

    def __init__(self, title: str) -> None:
        self.title, self.step, self.fraction = title, "", 0.0
        self.start = self.shown = time.monotonic()
        self.counting: float | None = None  # when the first counted step was seen
        self.live = sys.stdout.isatty()

    def feed(self, line: str) -> None:
        """Learn from a line of pip, of ninja (`[12/140] …`) or of make (`[  8%] …`)."""
        if counted := re.match(r"\s*\[ *(\d+)(?:/(\d+)|%)\]", line):
            self.fraction = min(1.0, int(counted[1]) / int(counted[2] or 100))
            self.step, self.counting = "", self.counting or time.monotonic()
        elif not self.fraction and (named := re.match(r"\s*(Collecting|Downloading|Installing|Building) (\S+)", line)):
            self.step = f"{named[1].lower()} {named[2].split('/')[-1]}"

    def text(self, now: float) -> str:
        parts = [self.title, f"{self.fraction:.0%}" if self.fraction else self.step, clock(now - self.start)]
        if self.counting and self.fraction >= 0.05:
            parts.append(f"about {clock((now - self.counting) * (1 / self.fraction - 1))} to go")
        return "  ".join(filter(None, parts))

    def show(self) -> None:
        now = time.monotonic()
        if self.live:
            width = shutil.get_terminal_size().columns - 1
            print("\r" + f"ggufrun: {self.text(now)}"[:width].ljust(width), end="", flush=True)
        elif now - self.shown >= 15:
            self.shown = now
            say(self.text(now))

    def finish(self, outcome: str) -> None:
        if self.live:
            print("\r\033[K", end="")
        say(f"{self.title}: {outcome} ({clock(time.monotonic() - self.start)})")


def follow(title: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
    """Run a command under a progress line. Raises InstallError, after the end of its log, where it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    progress = Progress(title)
    progress.show()
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, env=env, text=True, errors="replace")
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_pump, args=(process, log, lines), daemon=True).start()
    try:
        while (line := _next(lines)) is not None:
            progress.feed(line)
            progress.show()
    except KeyboardInterrupt:
        process.terminate()
        raise
    if process.wait() == 0:
        return progress.finish("done")
    progress.finish("failed")
    tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:]
    print("\n".join(line[:300] for line in tail), flush=True)
    raise InstallError(f"{title} failed, see the lines above; the whole log is {log}")


def _pump(process: subprocess.Popen[str], log: Path, lines: queue.SimpleQueue[str | None]) -> None:
    with log.open("w", encoding="utf-8", errors="replace") as file:
        for line in process.stdout or ():
            file.write(line)
            lines.put(line)
    lines.put(None)


def _next(lines: queue.SimpleQueue[str | None]) -> str | None:
    """The next line, "" after a second without one (so that the clock goes on), None at the end."""
    try:
        return lines.get(timeout=1)
    except queue.Empty:
        return ""
