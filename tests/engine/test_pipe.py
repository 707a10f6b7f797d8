"""Frames over a real pipe: everything arrives as it was sent, whole or not at all."""

import os
import threading
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggufrun.engine import pipe as pipe_module
from ggufrun.engine.messages import (
    Cancel,
    LoadFailed,
    LoadProgress,
    ModelInfo,
    Ready,
    Start,
    Stop,
    Submit,
    WorkerSettings,
)
from ggufrun.engine.pipe import MAX_FRAME, FrameTooLarge, PipeClosed, PipeReader, PipeWriter
from ggufrun.engine.types import (
    Failed,
    Finished,
    FinishReason,
    GenerationRequest,
    Grammar,
    PromptProgress,
    SamplingParams,
    Stats,
    TokenLogprob,
    Tokens,
)
from ggufrun.errors import (
    BudgetTooSmall,
    EmptyPrompt,
    EngineCrashed,
    GgufrunError,
    ModelFileError,
    ModelNotFound,
    OutOfMemory,
    PromptTooLong,
    SchemaError,
)
from ggufrun.settings import EngineSettings, LoraSpec, ModelSettings

Pipe = tuple[FileIO, FileIO]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    read, write = os.pipe()
    source, sink = FileIO(read, "r"), FileIO(write, "w")
    yield source, sink
    source.close()
    sink.close()


ids = st.integers(0, 2**40)
tokens = st.lists(st.integers(0, 2**31 - 1), max_size=8).map(tuple)
floats = st.floats(allow_nan=False)
logprobs = st.builds(TokenLogprob, ids, floats, st.lists(st.tuples(ids, floats), max_size=3).map(tuple), st.booleans())
requests = st.builds(
    GenerationRequest,
    ids,
    tokens,
    st.builds(SamplingParams, temperature=floats, seed=st.none() | ids, logprobs=st.none() | st.integers(0, 20)),
    st.none() | ids,
    ids,
    st.none() | st.builds(Grammar, st.text(), st.booleans(), ids),
    st.booleans(),
)
messages = st.one_of(
    st.builds(Submit, requests),
    st.builds(Cancel, ids),
    st.just(Stop()),
    st.builds(LoadProgress, floats),
    st.builds(PromptProgress, ids, ids, ids, ids),
    st.builds(Tokens, ids, tokens, st.lists(logprobs, max_size=3).map(tuple)),
    st.builds(Finished, ids, st.sampled_from(FinishReason), st.builds(Stats, ids, ids, ids, queue_s=floats)),
    st.builds(Failed, ids, st.text()),
)


@given(st.lists(st.lists(messages, max_size=5), max_size=4))
def test_lists_arrive_as_they_were_sent(frames: list[list[object]]) -> None:
    read, write = os.pipe()
    with FileIO(read, "r") as source, FileIO(write, "w") as sink:
        writer, reader = PipeWriter(sink), PipeReader(source)
        for frame in frames:
            writer.write(frame)
        assert [reader.read() for _ in frames] == frames


def test_settings_and_info_arrive(pipe: Pipe) -> None:
    model = ModelSettings(Path("a model.gguf"), context=512, loras=(LoraSpec(Path("x"), 0.5),), tensor_split=(1.0, 2.0))
    start = Start(WorkerSettings("a:b", model, EngineSettings(parallel=2)))
    sent = [start, Ready(ModelInfo(512, 49152, 135_000_000, "llama 135M Q4_1"))]
    PipeWriter(pipe[1]).write(sent)
    assert PipeReader(pipe[0]).read() == sent


def test_a_frame_larger_than_the_pipe_arrives(pipe: Pipe) -> None:
    request = GenerationRequest(1, tuple(range(200_000)))
    writer = threading.Thread(target=PipeWriter(pipe[1]).write, args=([Submit(request)],))
    writer.start()
    assert PipeReader(pipe[0]).read() == [Submit(request)]
    writer.join()


@pytest.mark.parametrize("length", [MAX_FRAME + 1, 0xFFFF_FFFF])
def test_a_length_that_cannot_be_one_is_refused_before_memory_is_taken(pipe: Pipe, length: int) -> None:
    pipe[1].write(length.to_bytes(4, "little"))
    pipe[1].close()
    with pytest.raises(FrameTooLarge, match=f"{length:,} bytes"):
        PipeReader(pipe[0]).read()


def test_a_message_over_the_limit_is_not_begun(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe_module, "MAX_FRAME", 1000)
    writer = PipeWriter(pipe[1])
    with pytest.raises(FrameTooLarge, match="over the limit"):
        writer.write([Submit(GenerationRequest(1, tuple(range(1000))))])
    writer.write([Stop()])
    assert PipeReader(pipe[0]).read() == [Stop()]


def test_the_longest_prompts_are_far_below_the_limit(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe_module, "MAX_FRAME", MAX_FRAME // 100)
    request = GenerationRequest(1, (0x7FFF_FFFF,) * (1 << 18))
    writer = threading.Thread(target=PipeWriter(pipe[1]).write, args=([Submit(request)],), daemon=True)
    writer.start()
    assert PipeReader(pipe[0]).read() == [Submit(request)]
    writer.join(60)


def test_the_end_is_seen_between_frames_and_inside_one(pipe: Pipe) -> None:
    source, sink = pipe
    PipeWriter(sink).write([Stop()])
    sink.write(b"\x40\x00\x00\x00half a frame")
    sink.close()
    reader = PipeReader(source)
    assert reader.read() == [Stop()]
    with pytest.raises(PipeClosed):
        reader.read()


def test_writing_to_nobody_says_so(pipe: Pipe) -> None:
    pipe[0].close()
    with pytest.raises(PipeClosed):
        PipeWriter(pipe[1]).write([Stop()])


@pytest.mark.parametrize(
    "error",
    [
        ModelFileError("a.gguf", "it is cut short", "Get it again."),
        ModelNotFound("mistal", ["mistral"]),
        OutOfMemory("It does not fit.", "Use a smaller one."),
        PromptTooLong(5000, 4096),
        SchemaError("no such thing", "/properties/a"),
        BudgetTooSmall(12, 4),
        EngineCrashed("signal 9", restarting=False, retry_s=12),
        EmptyPrompt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_keeps_its_type_and_data(pipe: Pipe, error: GgufrunError) -> None:
    PipeWriter(pipe[1]).write([LoadFailed.of(error)])
    (received,) = PipeReader(pipe[0]).read()
    again = received.error()
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == str(error)
    assert again.args == error.args
