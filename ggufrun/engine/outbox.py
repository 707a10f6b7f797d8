"""What waits to be sent to a worker: what has come together goes in one frame, which has shared parts once"""

from collections.abc import Callable
from queue import SimpleQueue

from ggufrun.engine.messages import Submit, ToWorker
from ggufrun.engine.pipe import FrameTooLarge, PipeWriter

Refused = Callable[[Submit, FrameTooLarge], None]


class Outbox:
    """Filled by any thread, emptied by one. The choices of a request share their prompt and its pictures' pixels."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[ToWorker | None] = SimpleQueue()

    def put(self, message: ToWorker) -> None:
        """Never waits."""
        self._waiting.put(message)

    def end(self) -> None:
        """No more will come: `send_all` returns after what is there."""
        self._waiting.put(None)

    def send_all(self, writer: PipeWriter, refused: Refused) -> None:
        """Until the end. `refused` hears of a request that is too large: its own fault, the others go on."""
        while messages := self._together():
            self._send(writer, messages, refused)

    def _together(self) -> list[ToWorker]:
        """All that waits, at least one message; none: the end."""
        messages: list[ToWorker] = []
        while (message := self._waiting.get()) is not None:
            messages.append(message)
            if self._waiting.empty():
                return messages
        if messages:
            self.end()  # for the next time
        return messages

    def _send(self, writer: PipeWriter, messages: list[ToWorker], refused: Refused) -> None:
        try:
            writer.write(messages)
        except FrameTooLarge as error:
            if len(messages) > 1:
                for each in messages:
                    self._send(writer, [each], refused)
            elif isinstance(messages[0], Submit):
                refused(messages[0], error)
            else:
                raise
