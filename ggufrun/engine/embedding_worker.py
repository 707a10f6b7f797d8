"""The worker's loop over an embedding model: { inbox, one batch, vectors }. Its process is `worker`'s."""

from ggufrun.engine.embedder import Embedder
from ggufrun.engine.opened import OpenedEmbedder
from ggufrun.engine.pipe import PipeWriter
from ggufrun.engine.types import EmbeddingRequest, EngineEvent, EngineRequest
from ggufrun.engine.watchdog import Watchdog
from ggufrun.engine.worker_loop import Inbox, WorkerLoop


class EmbeddingWorker(WorkerLoop):
    def __init__(self, opened: OpenedEmbedder, inbox: Inbox, out: PipeWriter, watch: Watchdog | None) -> None:
        super().__init__(inbox, out, watch)
        self._embedder = Embedder(opened.backend, computing=None if watch is None else watch.rows)

    def run(self) -> None:
        while not self._stopping:
            if not self._embedder.busy:
                self._handle(self._inbox.get())
            self._drain()
            if self._embedder.busy and not self._stopping:
                with self._watched():
                    events = self._embedder.step()
                self._send(events)
        self._embedder.close()

    def _send(self, events: list[EngineEvent]) -> None:
        if events:
            self._out.write(events)

    def _accept(self, request: EngineRequest) -> None:
        if not isinstance(request, EmbeddingRequest):
            raise TypeError("this model makes embeddings and writes no text")
        self._embedder.submit(request)

    def _cancel(self, id: int) -> None:
        self._send(self._embedder.cancel(id))
