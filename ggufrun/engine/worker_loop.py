"""What the worker's two loops share: messages of the service, taken in their order, and what is done with each."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from ggufrun.engine.messages import Cancel, Start, Stop, Submit, ToWorker
from ggufrun.engine.pipe import PipeWriter
from ggufrun.engine.types import EngineRequest, Failed
from ggufrun.engine.watchdog import Watchdog
from ggufrun.errors import EngineError

Inbox = SimpleQueue[ToWorker]
log = logging.getLogger(__name__)


class WorkerLoop(ABC):
    def __init__(self, inbox: Inbox, out: PipeWriter, watch: Watchdog | None) -> None:
        self._inbox, self._out, self._watch = inbox, out, watch
        self._stopping = False

    @abstractmethod
    def run(self) -> None:
        """Work until Stop comes."""

    @abstractmethod
    def _accept(self, request: EngineRequest) -> None:
        """Queue the request. Any error fails it, and it alone."""

    @abstractmethod
    def _cancel(self, id: int) -> None: ...

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """What may wait for another machine is done in it."""
        if self._watch is None:
            yield
            return
        with self._watch.step():
            yield

    def _drain(self) -> None:
        while not self._stopping:
            try:
                self._handle(self._inbox.get_nowait())
            except Empty:
                return

    def _handle(self, message: ToWorker) -> None:
        match message:
            case Submit(request):
                self._submit(request)
            case Cancel(id):
                self._cancel(id)
            case Stop():
                self._stopping = True
            case Start():
                raise EngineError("The worker was started twice.")

    def _submit(self, request: EngineRequest) -> None:
        try:
            self._accept(request)
        except Exception as error:  # where this request ends; those that run know nothing of it
            log.exception("a request could not be queued")
            self._out.write([Failed(request.id, f"The engine cannot take this: {type(error).__name__}: {error}")])
