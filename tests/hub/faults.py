"""What a hub can do wrong, as values, and the rules that say which request gets which fault. The server obeys them."""

import threading
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

Server = Literal["hub", "cdn"]


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection ends after so many bytes of the body."""

    after: int


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection ends without a reply."""


@dataclass(frozen=True, slots=True)
class Status:
    """An error reply: 429, 500, 503, ..."""

    code: int
    retry_after: float | str | None = None  # seconds, or an HTTP date


@dataclass(frozen=True, slots=True)
class WrongLength:
    """So many bytes too many (or, below 0, too few), under a Content-Length that says the same."""

    by: int


@dataclass(frozen=True, slots=True)
class WrongBytes:
    """One byte of the file comes wrong, the one at this offset where it is sent."""

    at: int = 0


@dataclass(frozen=True, slots=True)
class IgnoredRange:
    """200 and the whole file, whatever was asked for."""


@dataclass(frozen=True, slots=True)
class WrongRange:
    """206 with another range than was asked for, and a Content-Range that says so."""

    by: int


@dataclass(frozen=True, slots=True)
class Slow:
    bytes_per_s: float


@dataclass(frozen=True, slots=True)
class Stall:
    """Nothing comes for so long after so many bytes of the body; then it goes on."""

    after: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Expired:
    """The link's signature is too old from now on: 403 until the hub is asked for a new link."""


@dataclass(frozen=True, slots=True)
class Html:
    """200 and a page for people: what a captive portal answers."""


Fault = Cut | Drop | Status | WrongLength | WrongBytes | IgnoredRange | WrongRange | Slow | Stall | Expired | Html


@dataclass(slots=True)
class Rule:
    """`pattern` is matched (as in a shell) with the file's path in its repository, or with an API call's path."""

    fault: Fault
    pattern: str
    server: Server
    method: str
    skip: int  # so many matching requests go by first
    times: int | None  # None: for ever

    def matches(self, server: Server, method: str, subject: str) -> bool:
        return self.server == server and self.method == method and fnmatchcase(subject, self.pattern)


@dataclass(slots=True)
class Faults:
    """The first rule that matches and is not used up gives the fault."""

    rules: list[Rule] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        fault: Fault,
        pattern: str = "*",
        *,
        on: Server = "cdn",
        method: str = "GET",
        skip: int = 0,
        times: int | None = 1,
    ) -> None:
        with self._lock:
            self.rules.append(Rule(fault, pattern, on, method, skip, times))

    def clear(self) -> None:
        with self._lock:
            self.rules.clear()

    @property
    def left(self) -> list[Fault]:
        """What was to happen and has not (yet): a test that finds something here has tested nothing."""
        with self._lock:
            return [rule.fault for rule in self.rules if rule.times]

    def take(self, server: Server, method: str, subject: str) -> Fault | None:
        with self._lock:
            for rule in self.rules:
                if rule.times == 0 or not rule.matches(server, method, subject):
                    continue
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                if rule.times is not None:
                    rule.times -= 1
                return rule.fault
            return None
