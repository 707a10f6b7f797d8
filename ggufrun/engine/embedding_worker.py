"""The worker's loop over an embedding model: { inbox, one batch, vectors }. Its process is `worker`'s."""

import logging
from queue import Empty, SimpleQueue

from ggufrun.engine.embedder import Embedder
from ggufrun.engine.messages import Cancel, Start, Stop, Submit, ToWorker
from ggufrun.engine.opened import OpenedEmbedder
from ggufrun.engine.pipe import PipeWriter
from ggufrun.engine.types import EmbeddingRequest, EngineEvent, EngineRequest, Failed
from ggufrun.errors import EngineError

log = logging.getLogger(__name__)


class EmbeddingWorker:
    def __init__(self, opened: OpenedEmbedder, inbox: SimpleQueue[ToWorker], out: PipeWriter) -> None:
        self._inbox, self._out = inbox, out
        self._embedder = Embedder(opened.backend)
        self._stopping = False

    def run(self) -> None:
        while not self._stopping:
            if not self._embedder.busy:
                self._handle(self._inbox.get())
            self._drain()
            if self._embedder.busy and not self._stopping:
                self._send(self._embedder.step())
        self._embedder.close()

    def _send(self, events: list[EngineEvent]) -> None:
        if events:
            self._out.write(events)

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
                self._send(self._embedder.cancel(id))
            case Stop():
                self._stopping = True
            case Start():
                raise EngineError("The worker was started twice.")

    def _submit(self, request: EngineRequest) -> None:
        try:
            if not isinstance(request, EmbeddingRequest):
                raise TypeError("this model makes embeddings and writes no text")
            self._embedder.submit(request)
        except Exception as error:  # where this request ends; those that run know nothing of it
            log.exception("a request could not be queued")
            self._send([Failed(request.id, f"The engine cannot take this: {type(error).__name__}: {error}")])
