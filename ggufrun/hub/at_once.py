"""Does one thing for several items at once, in threads that an interrupted process does not wait for."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_LOOK_S: Final = 0.1  # between two looks for Ctrl-C
_PARTING_S: Final = 1.0  # for the others to see that one has failed


class Stopped(Exception):
    """Raised in a thread whose result nobody waits for any more."""


def at_once(do: Callable[[Item, threading.Event], Result], items: Sequence[Item], most: int) -> list[Result]:
    """The results, in the items' order. What one thread raises is raised here, and the others are told to stop.

    `do` gets the item and an event: once that is set, it should raise Stopped soon, and must write nothing more.
    """
    todo, stop = deque(enumerate(items)), threading.Event()
    results: dict[int, Result] = {}
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                try:
                    at, item = todo.popleft()
                except IndexError:
                    return
                results[at] = do(item, stop)
        except BaseException as error:  # the thread ends here; who waits for it raises
            failures.append(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(most, len(items)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive() and not failures:
                thread.join(_LOOK_S)
    finally:
        stop.set()
    if failures:
        for thread in threads:
            thread.join(_PARTING_S / len(threads))
        raise failures[0]
    return [results[at] for at in range(len(items))]
