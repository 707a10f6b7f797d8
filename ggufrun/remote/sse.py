"""Server-sent events out of bytes: what stands behind `data:`, and comments. Not what it means."""

from typing import Final

DONE: Final = b"[DONE]"
LONGEST: Final = 32 << 20  # bytes of one event, about


class EventTooLong(ValueError):
    """What comes is no stream of events, or somebody wants to fill the memory."""


class Events:
    """Feed it what comes. An item is an event's data, or a comment with its colon: data of JSON never begins so."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0  # of what came of an event that is not whole, about

    def feed(self, received: bytes) -> list[bytes]:
        """The items that are whole now. Raises EventTooLong."""
        lines = (self._rest + received if self._rest else received).split(b"\n")
        self._rest = lines.pop()
        items: list[bytes] = []
        data = self._data
        for line in lines:
            if line.endswith(b"\r"):
                line = line[:-1]
            if line.startswith(b"data:"):
                data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif not line:
                if data:
                    items.append(data[0] if len(data) == 1 else b"\n".join(data))
                    data.clear()
                    self._size = 0
            elif line.startswith(b":"):
                items.append(line)
        if data:
            self._size += len(received)
        if len(self._rest) + self._size > LONGEST:
            raise EventTooLong
        return items

    def finish(self) -> list[bytes]:
        """What the end of the stream makes whole."""
        return self.feed(b"\n\n")
