"""Pictures of requests, encoded one by one beside the steps and kept by their content, within a bound

Which request waits for its pictures is the engine's decision; what encodes them is behind `PictureEncoder`.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from ggufrun.engine.backend import EncodingStopped, PictureEncoder
from ggufrun.engine.sequence import Sequence
from ggufrun.engine.types import Image
from ggufrun.errors import EngineError, GgufrunError, ModelFileError

CACHE_BYTES: Final = 256 << 20  # a picture of 3,000 tokens takes 63 MB at 5,120 numbers each

Rows = npt.NDArray[np.float32]  # [image.length, n_embd]
log = logging.getLogger(__name__)


class PictureError(Exception):
    """A picture cannot be encoded: the request with it ends."""


@dataclass(slots=True)
class _Encoding:
    key: str
    request: int | None  # who hears of a failure; None: that one has ended
    rows: Future[Rows]
    stop: threading.Event
    behind: set[int] = field(default_factory=set)  # requests that wait for the encoder, too


class Pictures:
    """One picture is encoded at a time, for the request that asks first: so requests are served in the engine's order.

    A request takes hold of its rows as they come, so that what is kept can be bounded without losing what is needed.
    A picture whose request has ended is finished, since people ask again, unless another one is wanted meanwhile.
    """

    def __init__(self, encoder: PictureEncoder | None, most: int = CACHE_BYTES) -> None:
        self._encoder, self._most = encoder, most
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="pictures")
        self._encoding: _Encoding | None = None
        self._failed: dict[int, str] = {}  # by request
        self._kept: OrderedDict[str, Rows] = OrderedDict()  # by key, least recently used first
        self._bytes = 0

    def ready(self, sequence: Sequence, computed: int) -> bool:
        """Whether the pictures behind the first `computed` tokens are encoded, their rows then in `sequence.rows`.

        If not, one of them is being encoded, or will be as soon as no other one is. Raises PictureError.
        """
        if message := self._failed.pop(sequence.request.id, None):
            raise PictureError(message)
        missing = [each for each in sequence.request.images if each.end > computed and not self._take(sequence, each)]
        if missing and self._encoding is None:
            self._start(sequence.request.id, missing[0])
        elif missing:
            self._line_up(sequence.request.id, missing)
        return not missing

    def collect(self) -> None:
        """Keep what has been encoded, or the reason why it could not be.

        Only here, so that of those that are asked one after the other, none finds more than the one before it.
        """
        done = self._encoding
        if done is None or not done.rows.done():
            return
        self._encoding = None
        error = done.rows.exception()
        if error is None:
            self._keep(done.key, done.rows.result())
        elif done.request is not None and not isinstance(error, EncodingStopped):
            self._failed[done.request] = str(error)

    def waits(self, request: int) -> bool:
        """Whether this request has asked, and what is being encoded has to be finished before it asks again."""
        now = self._encoding
        return now is not None and (request == now.request or request in now.behind)

    def wait(self, patience: float, rest: Callable[[], None] = lambda: None) -> None:
        """Wait up to `patience` seconds for the picture that is being encoded, if one is, after `rest`."""
        if self._encoding is not None:
            rest()
            wait([self._encoding.rows], patience)

    def forget(self, request: int) -> None:
        """The request has ended."""
        self._failed.pop(request, None)
        if self._encoding is not None:
            self._encoding.behind.discard(request)
            if self._encoding.request == request:
                self._encoding.request = None
                self._encoding.behind.clear()  # they ask again, and take it over or have it stopped

    def close(self) -> None:
        """Waits until the encoder has given up the picture that it is at."""
        if self._encoding is not None:
            self._encoding.stop.set()
        self._helper.shutdown(wait=True, cancel_futures=True)
        if self._encoder is not None:
            self._encoder.close()

    def _take(self, sequence: Sequence, image: Image) -> bool:
        if image.start in sequence.rows:
            return True
        rows = self._kept.get(image.key)
        if rows is None:
            return False
        _check(rows, image)
        self._kept.move_to_end(image.key)
        sequence.rows[image.start] = rows
        return True

    def _start(self, request: int, image: Image) -> None:
        if self._encoder is None:
            raise PictureError("This model sees no pictures: it was loaded without a vision encoder (mmproj).")
        stop = threading.Event()
        try:
            rows = self._helper.submit(_encode, self._encoder, image, stop.is_set)
            self._encoding = _Encoding(image.key, request, rows, stop)
        except RuntimeError as error:  # how Python says that the system gives no more threads
            raise PictureError(f"A picture cannot be encoded: {error}.") from error

    def _line_up(self, request: int, missing: list[Image]) -> None:
        """Wait for the encoder, which is busy; what it does for nobody is taken over or given up."""
        now = self._encoding
        if now is None:
            return
        now.behind.add(request)
        if now.request is not None:
            return
        if any(image.key == now.key for image in missing):
            now.request = request
        else:
            now.stop.set()

    def _keep(self, key: str, rows: Rows) -> None:
        self._kept[key] = rows
        self._bytes += rows.nbytes
        while self._bytes > self._most and len(self._kept) > 1:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes


def _encode(encoder: PictureEncoder, image: Image, stopped: Callable[[], bool]) -> Rows:
    try:
        return encoder.encode(image.width, image.height, image.pixels, stopped)
    except ModelFileError as error:  # whoever sent the picture need not know where the file lies
        log.warning("a picture cannot be encoded: %s", error)
        raise EngineError(f"{error.path.name}: {error.reason}.", error.hint) from error
    except (GgufrunError, EncodingStopped):
        raise
    except Exception as error:  # where the thread's work ends: only this request may
        log.exception("a picture could not be encoded")
        raise EngineError(f"A picture cannot be encoded: {type(error).__name__}: {error}.") from error


def _check(rows: Rows, image: Image) -> None:
    """Rows that are kept belong to a key, and whoever made it may have been wrong. Raises PictureError."""
    if len(rows) != image.length:
        raise PictureError(f"The vision encoder makes {len(rows)} rows of a picture that has {image.length} tokens.")
