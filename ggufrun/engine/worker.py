"""The engine's process, `python -m ggufrun.engine.worker`: opens one model, then loops { inbox, one step, events }.

The main thread owns the llama context. A second thread only reads the pipe, so that the end of the parent ends this
process at once, whatever native code is computing. What a step does is the engine's; supervision is the service's.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from io import FileIO
from queue import Empty, SimpleQueue

from ggufrun.engine.backend import EmbeddingLimits, MemoryKind
from ggufrun.engine.embedding_worker import EmbeddingWorker
from ggufrun.engine.engine import Engine
from ggufrun.engine.grammar import GrammarCompiler
from ggufrun.engine.messages import (
    Fatal,
    LoadFailed,
    LoadProgress,
    ModelInfo,
    Ready,
    Start,
    Stop,
    WorkerSettings,
)
from ggufrun.engine.opened import Factory, Opened, OpenedModel
from ggufrun.engine.pipe import PipeClosed, PipeReader, PipeWriter
from ggufrun.engine.prefix_store import PrefixStore
from ggufrun.engine.types import EngineEvent, EngineRequest, GenerationRequest, Tokens
from ggufrun.engine.watchdog import Watchdog, end_process
from ggufrun.engine.worker_loop import Inbox, WorkerLoop
from ggufrun.errors import EngineError, GgufrunError, OutOfMemory

EXIT_LOAD, EXIT_FATAL, EXIT_DEAF = 3, 4, 5
QUIET_S = 0.25  # idle work waits this long, so that it never delays the next turn of a chat
STOP_S = 2.0  # what saving prefixes may take at the end; the service kills after 3
PROGRESS_STEP = 0.01
FLUSH_S = 0.02  # tokens wait this long for company: fifty updates a second look smooth, and each costs the parent time

log = logging.getLogger(__name__)


class Worker(WorkerLoop):
    """The loop over one opened model that generates; `EmbeddingWorker` has the other one."""

    def __init__(
        self, opened: OpenedModel, settings: WorkerSettings, inbox: Inbox, out: PipeWriter, watch: Watchdog | None
    ) -> None:
        super().__init__(inbox, out, watch)
        self._store = _open_store(opened, settings)
        engine = settings.engine
        self._grammars = GrammarCompiler(opened.vocabulary, jump_forward=engine.jump_forward, wrap_up=engine.wrap_up)
        computing = None if watch is None else watch.rows
        self._engine = Engine(opened.backend, engine, self._grammars, self._store, opened.encoder, computing=computing)
        self._held: list[EngineEvent] = []  # tokens that wait for company
        self._written = 0.0
        self._idle_work = True

    def run(self) -> None:
        # Read the vocabulary for grammars beside everything else, so that the first one need not wait for it.
        threading.Thread(target=self._warm, name="vocabulary", daemon=True).start()
        while not self._stopping:
            if self._engine.busy:
                self._drain()
                self._step()
            else:
                self._wait()
        self._finish()

    def _step(self) -> None:
        try:
            with self._watched():
                events = self._engine.step()
        except Exception as error:  # where these requests end; with the context rebuilt, others can go on
            log.exception("the engine's step failed")
            events = self._engine.fail_all(f"The engine failed: {type(error).__name__}: {error}")
        self._idle_work = True
        self._send(events)

    def _send(self, events: list[EngineEvent]) -> None:
        """Write events; tokens that come fast are gathered, everything else goes out at once and takes them along."""
        self._held += events
        now = time.monotonic()
        urgent = not self._engine.busy or any(type(event) is not Tokens for event in events)
        if self._held and (urgent or now - self._written >= FLUSH_S):
            self._out.write(merge_tokens(self._held))
            self._held, self._written = [], now

    def _wait(self) -> None:
        """Block until a message comes; after a quiet moment do idle work, bit by bit."""
        try:
            self._handle(self._inbox.get(timeout=QUIET_S if self._idle_work else None))
        except Empty:
            while self._inbox.empty() and self._idle_work:
                self._idle_work = self._idle()

    def _warm(self) -> None:
        try:
            self._grammars.warm()
        except GgufrunError as error:  # a request with a grammar will be told
            log.info("grammars cannot be used: %s", error)

    def _accept(self, request: EngineRequest) -> None:
        if not isinstance(request, GenerationRequest):
            raise TypeError("this model makes no embeddings")
        self._engine.submit(request)

    def _cancel(self, id: int) -> None:
        self._engine.cancel(id)

    def _idle(self) -> bool:
        try:
            with self._watched():
                return self._engine.idle()
        except (MemoryError, OSError, RuntimeError) as error:  # saving is a convenience
            log.warning("a prefix could not be saved: %s", error)
            return False

    def _finish(self) -> None:
        end = time.monotonic() + STOP_S
        while time.monotonic() < end and self._idle():
            pass
        if self._store is not None:
            self._store.finish_writing(max(0.0, end - time.monotonic()))
        # The engine is not closed: that waits for what its threads compute, which may take a picture's minutes.


def merge_tokens(events: list[EngineEvent]) -> list[EngineEvent]:
    """The same events with each request's tokens in one; only tokens ever stand between two tokens of a request."""
    merged: list[EngineEvent] = []
    place: dict[int, int] = {}
    for event in events:
        if isinstance(event, Tokens) and event.id in place:
            before = merged[place[event.id]]
            if isinstance(before, Tokens):
                both = Tokens(event.id, before.tokens + event.tokens, before.logprobs + event.logprobs)
                merged[place[event.id]] = both
                continue
        if isinstance(event, Tokens):
            place[event.id] = len(merged)
        merged.append(event)
    return merged


def _open_store(opened: OpenedModel, settings: WorkerSettings) -> PrefixStore | None:
    engine = settings.engine
    if engine.disk_cache is None or not engine.share_prefixes:
        return None
    whole = opened.backend.memory is not MemoryKind.FULL
    return PrefixStore(engine.disk_cache, opened.key, engine.disk_cache_bytes, whole=whole)


def _open_model(settings: WorkerSettings, out: PipeWriter, watch: Watchdog | None) -> Opened:
    """Run the factory. Raises GgufrunError."""
    module, _, name = settings.factory.partition(":")
    try:
        factory: Factory = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise EngineError(f"The engine cannot be imported: {error}.", "Install ggufrun again.") from error
    with nullcontext() if watch is None else watch.step():
        return factory(settings.model, settings.engine, _progress(out, watch))


def _progress(out: PipeWriter, watch: Watchdog | None) -> Callable[[float], None]:
    shown = -1.0

    def report(fraction: float) -> None:
        nonlocal shown
        if watch is not None:
            watch.alive()
        if fraction - shown >= PROGRESS_STEP or fraction >= 1.0 > shown:
            shown = fraction
            out.write([LoadProgress(fraction)])

    return report


def _info(opened: Opened) -> ModelInfo:
    limits = opened.backend.limits
    return ModelInfo(
        context=limits.context,
        vocabulary=limits.vocabulary,
        parameters=opened.parameters,
        description=opened.description,
        context_train=opened.context_train,
        memory_bytes=opened.memory_bytes,
        dimensions=limits.dimensions if isinstance(limits, EmbeddingLimits) else 0,
    )


def _worker(
    opened: Opened, settings: WorkerSettings, inbox: Inbox, out: PipeWriter, watch: Watchdog | None
) -> Worker | EmbeddingWorker:
    if isinstance(opened, OpenedModel):
        return Worker(opened, settings, inbox, out, watch)
    return EmbeddingWorker(opened, inbox, out, watch)


def _watchdog(settings: WorkerSettings, out: PipeWriter) -> Watchdog | None:
    """Where other machines compute. While it barks nobody else writes: the main thread is in native code."""
    if not settings.model.rpc:
        return None
    stalled = end_process(lambda why: out.write([Fatal(why)]), " or ".join(settings.model.rpc))
    return Watchdog(settings.model.rpc_timeout_s, stalled)


def _claim_pipes() -> tuple[FileIO, FileIO]:
    """The two pipes as files of our own. fd 0 and 1 go elsewhere, so that no native print gets into the stream."""
    source, out = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return FileIO(source, "r"), FileIO(out, "w")


def _read_inbox(source: FileIO, inbox: Inbox) -> None:
    try:
        reader = PipeReader(source)
        while True:
            for message in reader.read():
                inbox.put(message)
                if isinstance(message, Stop):
                    return
    except PipeClosed:
        os._exit(0)  # the parent is gone: nobody reads our answers
    except BaseException as error:  # where this thread ends: nothing more would be heard, the parent's end included
        try:
            log.critical("a message of the service could not be read (%s: %s)", type(error).__name__, error)
        finally:
            os._exit(EXIT_DEAF)


def serve(inbox: Inbox, out: PipeWriter) -> int:
    """Load, run, and return the exit status."""
    start = inbox.get()
    if not isinstance(start, Start):
        return EXIT_FATAL
    watch = _watchdog(start.settings, out)
    try:
        opened = _open_model(start.settings, out, watch)
    except GgufrunError as error:
        out.write([LoadFailed.of(error)])
        return EXIT_LOAD
    except MemoryError:
        hint = "Use a smaller model, a smaller --context or a smaller --kv-type."
        out.write([LoadFailed.of(OutOfMemory("There was no memory left to load the model.", hint))])
        return EXIT_LOAD
    except Exception as error:  # where the process ends: the parent turns it into one line
        log.exception("the model could not be opened")
        reason = f"The model could not be opened: {type(error).__name__}: {error}"
        out.write([LoadFailed.of(EngineError(reason, "See the whole error with --debug."))])
        return EXIT_LOAD
    worker = _worker(opened, start.settings, inbox, out, watch)
    out.write([Ready(_info(opened))])
    try:
        worker.run()
    except PipeClosed:
        return 0
    except Exception as error:  # where the process ends: the service restarts it
        log.exception("the worker failed")
        out.write([Fatal(f"{type(error).__name__}: {error}")])
        return EXIT_FATAL
    return 0


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the parent decides
    source, sink = _claim_pipes()
    inbox: Inbox = SimpleQueue()
    threading.Thread(target=_read_inbox, args=(source, inbox), name="inbox", daemon=True).start()
    try:
        status = serve(inbox, PipeWriter(sink))
    except PipeClosed:
        status = 0
    sys.stderr.flush()
    os._exit(status)  # no native destructors, which may wait for devices or abort: the system frees everything


if __name__ == "__main__":
    main()
