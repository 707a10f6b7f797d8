"""How much memory is free for one more model, as far as the system says."""

from collections.abc import Callable


class Budget:
    """`available` gives the bytes that can be had now, None where nobody knows (a GPU's memory, for one)."""

    def __init__(self, available: Callable[[], int | None]) -> None:
        self._available = available
        self._capacity: int | None = None  # what there was when no model was loaded

    def free(self, loaded: int, arriving: int) -> int | None:
        """Bytes for one more model beside those that are loaded and those that are being loaded.

        Mapped weights count as available although they are in use, so what was there before them is a limit too.
        """
        now = self._available()
        if now is None:
            return None
        if loaded + arriving == 0 or self._capacity is None:
            self._capacity = now + loaded
        return min(now, self._capacity - loaded) - arriving
