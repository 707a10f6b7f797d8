"""What is sent to a worker together: in one frame, in order, and what is too large alone"""

import io
from dataclasses import replace

import pytest

from ggufrun.engine import pipe
from ggufrun.engine.messages import Cancel, Stop, Submit, ToWorker
from ggufrun.engine.outbox import Outbox
from ggufrun.engine.pipe import FrameTooLarge, PipeClosed, PipeReader, PipeWriter
from ggufrun.engine.types import GenerationRequest
from tests.engine.painted import asked, picture


def sent(*messages: ToWorker) -> tuple[list[list[ToWorker]], int, list[int]]:
    """The frames, their bytes, and the requests that were too large."""
    outbox, file, refused = Outbox(), io.BytesIO(), list[int]()

    def too_large(message: Submit, error: FrameTooLarge) -> None:
        refused.append(message.request.id)

    for message in messages:
        outbox.put(message)
    outbox.end()
    outbox.send_all(PipeWriter(file), too_large)
    size = file.tell()
    file.seek(0)
    reader, frames = PipeReader(file), []
    try:
        while True:
            frames.append(reader.read())
    except PipeClosed:
        return frames, size, refused


def pixels_of(message: ToWorker) -> bytes:
    assert isinstance(message, Submit) and isinstance(message.request, GenerationRequest)
    return message.request.images[0].pixels


def test_choices_of_a_request_share_its_pictures() -> None:
    request = asked(1, picture(1, 300, 200), [5])
    choices: list[ToWorker] = [Submit(replace(request, id=id)) for id in range(1, 9)]
    ((*frame,),), size, _ = sent(*choices)
    assert frame == choices
    assert size < 2 * len(request.images[0].pixels)
    (shared,) = {id(pixels_of(each)) for each in frame}
    assert shared != id(request.images[0].pixels)


def test_the_order_stays_and_nothing_is_lost_at_the_end() -> None:
    messages: list[ToWorker] = [Submit(asked(1, [1, 2])), Cancel(1), Submit(asked(2, [3])), Stop()]
    assert sent(*messages)[0] == [messages]
    assert sent() == ([], 0, [])


def test_only_the_request_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe, "MAX_FRAME", 12_000)
    small, large, other = (Submit(asked(id, picture(id, side, 20), [5])) for id, side in ((1, 90), (2, 200), (3, 91)))
    frames, _, refused = sent(small, large, other)
    assert (frames, refused) == ([[small], [other]], [2])
