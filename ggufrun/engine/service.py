"""One loaded model, seen from the event loop: supervises its worker, takes requests to it and events back.

All state but `_incoming` belongs to the loop's thread. What the worker does with a request is the engine's.
"""

import asyncio
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from ggufrun.engine.endings import Down, detail_of, load_crash
from ggufrun.engine.messages import (
    Cancel,
    FromWorker,
    LoadFailed,
    LoadProgress,
    ModelInfo,
    Ready,
    Submit,
    WorkerSettings,
)
from ggufrun.engine.outside import Outside, until_back
from ggufrun.engine.places import Places
from ggufrun.engine.process import WorkerProcess
from ggufrun.engine.stream import Stream
from ggufrun.engine.types import (
    Embedded,
    EngineEvent,
    EngineRequest,
    Failed,
    Finished,
    FinishReason,
    PromptProgress,
    Stats,
    Tokens,
)
from ggufrun.errors import (
    EngineBusy,
    EngineClosed,
    EngineCrashed,
    EngineError,
    GgufrunError,
)

STOP_S = 3.0
CRASH_WINDOW_S = 60.0  # a worker that was loaded for so long ran well: its crash counts as a first one
RESTART_DELAYS_S = (0.0, 1.0)  # after the first and the second crash in a row; after one more it stays down
COOL_DOWN_S = CRASH_WINDOW_S  # how long it stays down: then the next request starts it again
UNREAD_LIMIT = 1 << 18  # tokens (logprobs count too) that one reader may leave unread before its request is cancelled


Progress = Callable[[float], None]


class Service:
    """Implements `GenerationService` or, where the model makes embeddings, `EmbeddingService`.

    The constructor starts the worker at once and needs no event loop, so that a program can go on importing while the
    model loads; `ready` ties the service to the running loop. `start` does both. Methods are for the loop's thread,
    `close` for any.
    """

    def __init__(self, settings: WorkerSettings, debug: bool = False, outside: Outside | None = None) -> None:
        """`outside` is there now; after a crash it is asked again."""
        self._settings, self._debug, self._outside = settings, debug, outside
        self._looking: asyncio.Task[None] | None = None  # for what is missing outside
        self._info: ModelInfo | None = None
        self._streams: dict[int, Stream] = {}
        self._reserved = 0  # places in the queue, for requests that are still to come
        self._ids = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[asyncio.Future[None], Progress | None] = {}  # for the model to be loaded
        self._crashes = 0  # in a row
        self._loaded_at: float | None = None  # monotonic seconds; None: the worker is loading, or there is none
        self._load_error: GgufrunError | None = None
        self._failed: GgufrunError | None = None  # the first load did: for good
        self._down: Down | None = None
        self._incoming: deque[tuple[WorkerProcess, Sequence[FromWorker] | None]] = deque()  # None: it ended
        self._scheduled = False
        self._closed = False
        self._lock = threading.Lock()  # _closed against _process
        self._process: WorkerProcess | None = None
        try:
            self._spawn()
        except OSError as error:
            raise EngineError(
                f"The model's process could not be started: {error}.", "Close other programs, then load it again."
            ) from error

    @classmethod
    async def start(
        cls, settings: WorkerSettings, on_progress: Progress | None = None, debug: bool = False
    ) -> "Service":
        """Load the model. `on_progress` hears 0 to 1, on the loop. Raises what `ready` raises."""
        service = cls(settings, debug)
        try:
            await service.ready(on_progress)
        except BaseException:
            service.close()
            raise
        return service

    async def ready(self, on_progress: Progress | None = None) -> None:
        """Wait until the model is loaded; returns at once where it is. May be asked again, also while it restarts.

        Raises ModelFileError, OutOfMemory or OptionError as the worker raised it, EngineClosed, EngineCrashed where
        the worker stays down, or EngineError.
        """
        if self._failed is not None and not self._closed:
            raise self._failed
        self._check()
        if self._loaded_at is not None:
            return
        self._loop = asyncio.get_running_loop()
        waiter = self._loop.create_future()
        self._waiting[waiter] = on_progress
        self._scheduled = False  # an earlier loop may have ended without reading
        self._wake()
        try:
            await waiter
        finally:
            del self._waiting[waiter]

    @property
    def context(self) -> int:
        return self.info.context

    @property
    def capacity(self) -> int:
        return self._settings.engine.parallel + self._settings.engine.queue

    @property
    def info(self) -> ModelInfo:
        """What the worker said of the model. Raises EngineError before `ready` has returned."""
        if self._info is None:
            raise EngineError("The model is not loaded yet.", "Await Service.ready() first.")
        return self._info

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id, None while there is none."""
        return None if self._process is None else self._process.pid

    @property
    def live(self) -> int:
        """Requests that have not ended."""
        return len(self._streams)

    def next_id(self) -> int:
        return next(self._ids)

    def reserve(self, count: int) -> Places:
        self._check_room(count)
        self._reserved += count
        return Places(self, count)

    def give_back(self, places: int) -> None:
        """For `Places`."""
        self._reserved -= places

    def submit(self, request: EngineRequest) -> Stream:
        self._check_room(1)
        stream = self._streams[request.id] = Stream(request, self._cancel)
        if self._process is not None:  # else it is sent when the worker is back
            self._process.send(Submit(request))
        return stream

    def close(self) -> None:
        """End all streams, stop the worker, and kill it if that takes over 3 s. May be called more than once."""
        with self._lock:
            self._closed = True
            process = self._process
        self._wake()  # without a process too: streams may be waiting for its restart
        if process is not None:
            process.stop(STOP_S if self._loaded_at is not None else 0.0)

    async def aclose(self) -> None:
        """`close` without blocking the loop. Where the caller is cancelled meanwhile, that waits for the end too."""
        closing = asyncio.ensure_future(asyncio.to_thread(self.close))
        cancelled: asyncio.CancelledError | None = None
        while not closing.done():
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def _check(self) -> None:
        """Raise what stands against a request. A worker that was down for long enough is started again."""
        if self._closed:
            raise EngineClosed
        if self._failed is not None:
            raise EngineCrashed(detail_of(self._failed), restarting=False)
        if self._down is not None and self._down.until <= time.monotonic():
            self._try_again()
        if self._down is not None:
            raise self._down.error(time.monotonic())

    def _check_room(self, count: int) -> None:
        """Raise what stands against so many requests more."""
        self._check()
        if self._loop is None:
            raise EngineError("The model is not loaded yet.", "Await Service.ready() first.")
        taken = len(self._streams) + self._reserved
        if taken + count > self.capacity:
            raise EngineBusy(max(0, taken - self._settings.engine.parallel))

    def _cancel(self, id: int) -> None:
        if id not in self._streams:
            return
        if self._process is not None:
            self._process.send(Cancel(id))
        else:  # never sent
            prompt_tokens = self._streams[id].request.prompt_tokens
            self._event(Finished(id, FinishReason.CANCELLED, Stats(prompt_tokens, 0)))

    def _spawn(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._process = WorkerProcess(self._settings, self._heard, self._ended, self._debug)
        for stream in self._streams.values():
            self._process.send(Submit(stream.request))

    # The next three are called by other threads: one call into the loop a message at most, however many events it has.

    def _heard(self, process: WorkerProcess, messages: Sequence[FromWorker]) -> None:
        self._incoming.append((process, messages))
        self._wake()

    def _ended(self, process: WorkerProcess) -> None:
        self._incoming.append((process, None))
        self._wake()

    def _wake(self) -> None:
        loop = self._loop
        if loop is None or (self._scheduled and not loop.is_closed()):
            return
        self._scheduled = True
        try:
            loop.call_soon_threadsafe(self._deliver)
        except RuntimeError:  # the loop is closed: nobody listens any more
            with self._lock:
                closed, self._closed = self._closed, True
                process = self._process
            if process is not None and not closed:
                process.kill("the event loop that listened to it has ended")

    def _deliver(self) -> None:
        self._scheduled = False  # before reading: what comes from here on is seen now or wakes the loop again
        while self._incoming:
            process, messages = self._incoming.popleft()
            if process is not self._process:
                continue
            if messages is None:
                self._worker_ended(process)
                continue
            for message in messages:
                self._message(message)
        if self._closed:
            self._close_streams()

    def _message(self, message: FromWorker) -> None:
        match message:
            case Tokens() | PromptProgress() | Embedded() | Finished() | Failed():
                self._event(message)
            case LoadProgress(fraction):
                self._progress(fraction)
            case Ready(info):
                self._info, self._loaded_at = info, time.monotonic()
                self._settle(None)
            case LoadFailed():
                self._load_error = message.error()

    def _event(self, event: EngineEvent) -> None:
        stream = self._streams.get(event.id)
        if stream is None:
            return
        stream.push(event)
        if type(event) is Tokens:
            if stream.unread > UNREAD_LIMIT:
                self._cancel(event.id)
                del self._streams[event.id]
                stream.abandon("The answer was not read.")
        elif isinstance(event, Finished | Failed | Embedded):
            del self._streams[event.id]

    def _progress(self, fraction: float) -> None:
        for waiter, report in self._waiting.items():
            if report is not None and not waiter.done():
                try:
                    report(fraction)
                except Exception as error:  # the caller's own: it goes back there, and other messages are not lost
                    waiter.set_exception(error)

    def _settle(self, error: GgufrunError | None) -> None:
        """Answer those who wait in `ready`."""
        for waiter in self._waiting:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    def _close_streams(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        self._settle(EngineClosed())
        self._fail_streams(EngineClosed)

    def _fail_streams(self, make: Callable[[], EngineError]) -> None:
        """End every stream with an error of its own: each is raised where its stream is read."""
        for id in list(self._streams):
            error = make()
            self._event(Failed(id, str(error), error))

    def _worker_ended(self, process: WorkerProcess) -> None:
        self._process = None
        load_error, self._load_error = self._load_error, None
        if self._closed:
            return
        if self._info is None:  # the first load
            self._failed = load_error or load_crash(process, self._settings.model.path, self._outside)
            self._settle(self._failed)
            self._fail_streams(partial(EngineCrashed, detail_of(self._failed), restarting=False))
            return
        detail = detail_of(load_error) if load_error is not None else process.ending()
        if self._outside is None or self._loop is None:
            self._crashed(detail)
        else:
            self._looking = self._loop.create_task(self._crashed_outside(self._outside, detail))

    def _crashed(self, detail: str) -> None:
        """Fail what ran, and restart at once, then after a second, then only when asked after a pause."""
        ran_well = self._loaded_at is not None and time.monotonic() - self._loaded_at >= CRASH_WINDOW_S
        self._crashes, self._loaded_at = 1 if ran_well else self._crashes + 1, None
        if self._crashes > len(RESTART_DELAYS_S):
            self._stay_down(f"{detail}. It ended {self._crashes} times in a row")
            return
        self._fail_streams(partial(EngineCrashed, detail))
        if self._loop is not None:
            self._loop.call_later(RESTART_DELAYS_S[self._crashes - 1], self._respawn)

    async def _crashed_outside(self, outside: Outside, detail: str) -> None:
        """First it is seen whether that is why. Then nothing is started before it is back, however long that takes."""
        detail = outside.blamed(detail) or detail
        try:
            missing = await asyncio.to_thread(outside.missing)
        except Exception as error:  # no thread, say: streams wait for what becomes of this
            detail, missing = f"{detail} ({type(error).__name__}: {error})", ""
        if not missing:
            self._crashed(detail)
            return
        self._loaded_at = None
        self._stay_down(f"{detail}; {missing}", math.inf)
        await until_back(outside)
        self._crashes, self._down = 0, None
        self._respawn()

    def _respawn(self) -> None:
        try:
            self._spawn()
        except OSError as error:  # no memory for a process, no file descriptors left
            self._stay_down(f"it could not be restarted: {error}")

    def _stay_down(self, reason: str, until: float | None = None) -> None:
        self._down = Down(reason, time.monotonic() + COOL_DOWN_S if until is None else until)
        self._settle(self._down.error(time.monotonic()))
        self._fail_streams(partial(self._down.error, time.monotonic()))

    def _try_again(self) -> None:
        """Start it once: with its restarts used up, one more crash and it is down for another pause."""
        self._crashes = max(self._crashes, len(RESTART_DELAYS_S))
        self._down = None
        self._respawn()
