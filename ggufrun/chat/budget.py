"""What one rendering of a chat template may use: steps, characters, processor time. Used by `sandbox.py` only."""

import time
from collections.abc import Iterable, Iterator, Sized
from contextvars import ContextVar
from typing import Any

from jinja2.exceptions import TemplateRuntimeError

STEPS = 1_000_000  # loop rounds, calls and filters
SECONDS = 3.0  # of this thread's processor time, so that a busy machine does not count
CHARACTERS = 4_000_000  # of one value, beside eight times what the request holds
_WRITTEN = 16  # times as many may be written altogether: intermediate values count too
_BIGGEST_INT = 100_000  # as an argument: a width, a repetition
_BITS = 1_024  # of a computed integer


class TemplateLimit(TemplateRuntimeError):
    """The template goes on too long or writes too much."""


class Budget:
    """Counts down. `size` is the request's own text in characters."""

    def __init__(self, size: int = 0) -> None:
        self.largest = CHARACTERS + 8 * size
        self._characters = _WRITTEN * self.largest
        self._steps = STEPS
        self._deadline = time.thread_time() + SECONDS

    def step(self, written: int = 0) -> None:
        """One step that also wrote that many characters."""
        self._steps -= 1
        self._characters -= written
        if self._steps < 0 or self._characters < 0:
            raise TemplateLimit("it writes or computes without end")
        if self._steps % 32 == 0 and time.thread_time() > self._deadline:
            raise TemplateLimit(f"it takes longer than {SECONDS:.0f} seconds")

    def made(self, value: Any) -> Any:
        """Charge for a value that was just made, and hand it on."""
        if isinstance(value, list | tuple | dict):
            self.step(4 * len(value))
        else:
            self.step(len(value) if isinstance(value, str) else 0)
        return value

    def check(self, size: int) -> None:
        """Refuse a value of that size before it is made."""
        if size > self.largest:
            raise TemplateLimit(f"it makes a value of {size} characters")

    def check_replace(self, text: str, old: str, new: str) -> None:
        self.check(len(text) + text.count(old) * len(new))

    def check_join(self, glue: str, parts: list[Any]) -> None:
        self.check(len(glue) * len(parts) + self.weigh(parts))

    def check_arguments(self, arguments: Iterable[Any]) -> None:
        if any(type(value) is int and abs(value) > _BIGGEST_INT for value in arguments):
            raise TemplateLimit("it asks for an enormous width or number")

    def weigh(self, value: Any) -> int:
        """About how many characters the value has when written out. Lists may hold one long text many times."""
        self.step()
        if isinstance(value, str):
            weight = len(value)
        elif isinstance(value, dict):
            weight = sum(self.weigh(key) + self.weigh(item) for key, item in value.items())
        elif isinstance(value, list | tuple):
            weight = sum(map(self.weigh, value))
        else:
            weight = 32
        self.check(weight)
        return weight

    def multiplied(self, left: Any, right: Any) -> None:
        """Before `left * right`."""
        for value, times in ((left, right), (right, left)):
            if isinstance(value, str | list | tuple) and isinstance(times, int):
                self.check(len(value) * times)
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > _BITS:
            raise TemplateLimit("it computes an enormous number")

    def raised(self, left: Any, right: Any) -> None:
        """Before `left ** right`."""
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > _BITS:
            raise TemplateLimit("it computes an enormous number")

    def added(self, left: Any, right: Any) -> None:
        """Before `left + right`."""
        if isinstance(left, Sized) and isinstance(right, Sized):
            self.check(len(left) + len(right))


class Counted:
    """A loop's iterable; each round is a step that writes `static` characters of the template's own text."""

    def __init__(self, iterable: Any, static: int) -> None:
        self._iterable, self._static = iterable, static

    def __iter__(self) -> Iterator[Any]:
        budget = current()
        for item in self._iterable:
            budget.step(self._static)
            yield item

    def __len__(self) -> int:
        return len(self._iterable)


_CURRENT: ContextVar[Budget] = ContextVar("template budget")


def spend(budget: Budget) -> None:
    """Make `budget` the one that this thread's rendering uses from here on."""
    _CURRENT.set(budget)


def current() -> Budget:
    return _CURRENT.get()
