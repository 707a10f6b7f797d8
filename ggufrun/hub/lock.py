"""The lock of one file of the cache: huggingface_hub's own, so that other programs wait for us, and we for them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

_LOOK_S: Final = 0.2


@contextmanager
def held(lock: Path, stop: threading.Event, on_wait: Callable[[], None]) -> Iterator[bool]:
    """Wait until it is ours; `on_wait` is called once if that is not at once. False where `stop` came first."""
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # documented, and in __init__

    lock.parent.mkdir(parents=True, exist_ok=True)
    waited = False
    with ExitStack() as stack:
        while not stop.is_set():
            try:
                stack.enter_context(WeakFileLock(lock, timeout=_LOOK_S))
                break
            except TimeoutError:
                if not waited:
                    waited = True
                    on_wait()
        yield not stop.is_set()


@contextmanager
def held_now(lock: Path) -> Iterator[bool]:
    """Whether it is ours: nobody is waited for."""
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # documented, and in __init__

    lock.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(WeakFileLock(lock, timeout=_LOOK_S))
            ours = True
        except TimeoutError:
            ours = False
        yield ours
