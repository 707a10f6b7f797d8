"""The vision encoder through libmtmd: against a reference, as rows of a batch, and with foreign files"""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import llama_cpp
import numpy as np
import numpy.typing as npt
import pytest
from gguf import GGUFWriter

from ggufrun.engine.backend import DecodeStatus, EncodingStopped, Run
from ggufrun.engine.opened import OpenedModel
from ggufrun.errors import EngineClosed, EngineError, ModelFileError
from ggufrun.llama.backend import LlamaBackend
from ggufrun.llama.mmproj import Mmproj
from ggufrun.llama.open import open_backend
from ggufrun.llama.vision import LlamaVision
from ggufrun.settings import EngineSettings, ModelSettings
from ggufrun.weights.header import read_header
from tests import tiny_vision as tiny
from tests.llama.pixtral import Pixtral

Rows = npt.NDArray[np.float32]
RELATIVE = 0.005  # of the largest number of a picture; half precision and a tabulated GELU cost 0.0031 at worst
HEAD, TAIL = [1, 3, 1100, 1200], [13, 1500, 4]  # [IMG_END] is 13


def noise(seed: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def backend(tiny_vision: Path) -> Iterator[LlamaBackend]:
    settings = ModelSettings(tiny_vision / "model.gguf", context=1024, threads=1)
    backend = LlamaBackend.load(settings, EngineSettings(parallel=2, cached_sequences=2))
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def vision(tiny_vision: Path, backend: LlamaBackend) -> Iterator[LlamaVision]:
    vision = LlamaVision(tiny_vision / "mmproj.gguf", backend.model, threads=1, gpu=False)
    yield vision
    vision.close()


def encoded(vision: LlamaVision, pixels: npt.NDArray[np.uint8]) -> Rows:
    return vision.encode(pixels.shape[1], pixels.shape[0], pixels.tobytes())


def logits(backend: LlamaBackend, *parts: Rows | list[int], seq: int = 0) -> Rows:
    """After a prompt of texts and pictures."""
    backend.truncate(seq, 0)
    start = 0
    for part in parts:
        rows = None if isinstance(part, list) else part
        tokens = part if isinstance(part, list) else [-1] * len(part)
        run = Run(seq, start, tokens, 0 if rows is not None else 1, rows)
        assert backend.decode([run]) is DecodeStatus.OK
        start += len(part)
    return backend.logits(0).copy()


@pytest.mark.parametrize("size", [(28, 28), (84, 56), (280, 196), (28, 924), (1540, 28)])
def test_the_rows_are_those_of_a_reference_in_numpy(
    vision: LlamaVision, tiny_vision: Path, size: tuple[int, int]
) -> None:
    pixels = noise(1, *size)
    expected, found = Pixtral(tiny_vision / "mmproj.gguf").encode(pixels), encoded(vision, pixels)
    assert found.shape == expected.shape and found.dtype == np.float32
    assert np.abs(found - expected).max() <= RELATIVE * np.abs(expected).max()


@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (55, 4), (1, 55), (41, 40)])
def test_a_picture_of_whole_patches_is_taken_as_it_is(vision: LlamaVision, grid: tuple[int, int]) -> None:
    """Also beyond the 1,024 tokens and below the 8 that llama.cpp itself would resize it to."""
    wide, high = grid
    assert len(encoded(vision, noise(2, 28 * wide, 28 * high))) == wide * high + high - 1


def test_what_ends_a_line_does_not_depend_on_what_memory_held(tiny_vision: Path, backend: LlamaBackend) -> None:
    """llama.cpp 0.3.36's own rows are NaN here: it makes zeros as memory times 0."""
    vision = LlamaVision(tiny_vision / "mmproj.gguf", backend.model, threads=1, gpu=False)
    for wide, high in ((1, 1), (3, 2), (10, 7)):
        for size in range(14, 22):
            spoiled = [np.full(1 << size, np.nan, np.float32) for _ in range(4)]
            del spoiled
        rows = encoded(vision, noise(1, 28 * wide, 28 * high))
        assert np.isfinite(rows).all()
        assert np.array_equal(rows[wide :: wide + 1], np.tile(tiny.text_embedding(12, 64), (high - 1, 1)))
    vision.close()


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_the_line_end_is_read_as_it_is_stored(kind: type, tmp_path: Path) -> None:
    writer = GGUFWriter(tmp_path / "mmproj.gguf", "clip")
    stored: np.ndarray = np.linspace(-2, 2, 32).astype(kind)
    writer.add_vision_image_size(64)
    writer.add_vision_patch_size(16)
    writer.add_tensor("v.token_embd.img_break", stored)
    for write in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file):
        write()
    writer.close()
    mmproj = Mmproj.of(read_header(tmp_path / "mmproj.gguf"))
    assert (mmproj.step, mmproj.most_tokens) == (16, 16)
    assert mmproj.line_end is not None and np.array_equal(mmproj.line_end, stored)


def test_different_pictures_give_different_logits_and_the_same_one_the_same(
    vision: LlamaVision, backend: LlamaBackend
) -> None:
    one, other = (encoded(vision, noise(seed, 140, 84)) for seed in (1, 2))
    first = logits(backend, HEAD, one, TAIL)
    assert np.array_equal(first, logits(backend, HEAD, encoded(vision, noise(1, 140, 84)), TAIL, seq=1))
    for parts in ((other,), (one, other), (other, one), (one, one), ()):
        assert np.abs(first - logits(backend, HEAD, *parts, TAIL)).max() > 1


def test_a_batch_of_embeddings_computes_what_its_tokens_would(backend: LlamaBackend, tiny_vision: Path) -> None:
    """Rows of the text model's own embeddings, in a batch with those of another sequence."""
    header = read_header(tiny_vision / "model.gguf")
    tensor = next(each for each in header.tensors if each.name == "token_embd.weight")
    table = np.memmap(header.path, np.float16, "r", header.data_offset + tensor.offset, tensor.shape[::-1])
    assert np.array_equal(table[tiny.IMG_BREAK], tiny.text_embedding(tiny.IMG_BREAK, 64))
    tokens, others = [1500, 1600, 1700, 1800], [2000, 2100]
    expected = logits(backend, [*HEAD, *tokens], TAIL)
    for seq in (0, 1):
        backend.truncate(seq, 0)
    assert backend.decode([Run(seq, 0, HEAD, 0) for seq in (0, 1)]) is DecodeStatus.OK
    runs = [Run(s, 4, [-1] * len(t), 0, table[t].astype(np.float32)) for s, t in ((0, tokens), (1, others))]
    assert backend.decode(runs) is DecodeStatus.OK
    assert backend.decode([Run(0, 8, TAIL, 1)]) is DecodeStatus.OK  # and tokens are tokens again
    assert np.abs(backend.logits(0) - expected).max() < 0.01


def test_tokens_and_embeddings_share_no_batch(backend: LlamaBackend) -> None:
    with pytest.raises(ValueError, match="tokens and embeddings"):
        backend.decode([Run(0, 0, HEAD, 0), Run(1, 0, [-1], 0, np.zeros((1, 64), np.float32))])


def test_a_batch_takes_as_many_embeddings_as_tokens(backend: LlamaBackend) -> None:
    with pytest.raises(ValueError, match="fewer embeddings than tokens"):
        backend.decode([Run(1, 0, [-1, -1], 0, np.zeros((1, 64), np.float32))])


def test_an_encoding_that_is_given_up_leaves_the_encoder_usable(vision: LlamaVision) -> None:
    pixels, asks = noise(5, 280, 280), 0
    expected = encoded(vision, pixels)

    def second() -> bool:
        nonlocal asks
        asks += 1
        return asks >= 2

    with pytest.raises(EncodingStopped):
        vision.encode(280, 280, pixels.tobytes(), second)
    assert asks < 4, "the rest was computed"
    assert np.array_equal(encoded(vision, pixels), expected)


@pytest.mark.parametrize("size", [(30, 28), (28, 41), (1540, 1568)])
def test_a_picture_that_llama_cpp_would_resize_is_refused(vision: LlamaVision, size: tuple[int, int]) -> None:
    with pytest.raises(EngineError, match="not taken as it is"):
        encoded(vision, noise(1, *size))


def test_without_libmtmd_only_pictures_are_refused(tiny_vision: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp.mtmd_cpp", None)  # cannot be imported
    monkeypatch.delattr(llama_cpp, "mtmd_cpp")
    monkeypatch.delitem(sys.modules, "ggufrun.llama.vision")
    settings = ModelSettings(tiny_vision / "model.gguf", context=64, mmproj=str(tiny_vision / "mmproj.gguf"))
    opened = open_backend(settings, EngineSettings(disk_cache=None), lambda _: None)
    assert isinstance(opened, OpenedModel) and opened.encoder is not None
    with pytest.raises(EngineError, match="without libmtmd"):
        opened.encoder.encode(28, 28, noise(1, 28, 28).tobytes())
    opened.backend.close()


def test_a_saved_state_holds_what_was_seen(vision: LlamaVision, backend: LlamaBackend) -> None:
    expected = logits(backend, HEAD, seen := encoded(vision, noise(1, 140, 84)), TAIL)
    logits(backend, HEAD, seen, [13])
    state = backend.save(0)
    backend.truncate(0, 0)
    assert backend.restore(1, state) and backend.truncate(1, len(HEAD) + len(seen))
    assert backend.decode([Run(1, len(HEAD) + len(seen), TAIL, 1)]) is DecodeStatus.OK
    assert np.abs(backend.logits(0) - expected).max() < 0.01
    backend.truncate(1, 0)


def test_a_picture_can_be_encoded_while_the_model_computes(vision: LlamaVision, backend: LlamaBackend) -> None:
    pixels = noise(3, 560, 560)
    expected, found = encoded(vision, pixels), []
    alone = logits(backend, HEAD * 50, TAIL)
    beside = threading.Thread(target=lambda: found.append(encoded(vision, pixels)))
    beside.start()
    steps = [logits(backend, HEAD * 50, TAIL) for _ in range(5)]
    beside.join()
    assert np.array_equal(found[0], expected) and all(np.array_equal(each, alone) for each in steps)


# ---- files that are not its own


def refused(path: Path, backend: LlamaBackend) -> str:
    vision = LlamaVision(path, backend.model, threads=1, gpu=False)
    with pytest.raises(ModelFileError) as error:
        encoded(vision, noise(1, 28, 28))
    vision.close()
    return str(error.value)


def test_a_file_that_is_no_encoder_for_this_model_is_refused(
    backend: LlamaBackend, tiny_vision: Path, tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    assert "no such file" in refused(tmp_path / "missing.gguf", backend)
    assert "is no vision encoder (mmproj)" in refused(tiny_vision / "model.gguf", backend)
    assert "is no vision encoder (mmproj)" in refused(tiny_model("bert-tiny"), backend)
    whole = (tiny_vision / "mmproj.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    assert "truncated" in refused(tmp_path / "cut.gguf", backend)
    tiny.mmproj(tmp_path / "wide.gguf", text=128)
    said = refused(tmp_path / "wide.gguf", backend)
    assert "64" in said and "128" in said and "Give the mmproj file that was published with this model." in said


def test_a_file_is_opened_at_the_first_picture_and_closed_for_good(backend: LlamaBackend, tmp_path: Path) -> None:
    path = tmp_path / "mmproj.gguf"
    vision = LlamaVision(path, backend.model, threads=1, gpu=False)
    tiny.mmproj(path)
    assert len(encoded(vision, noise(1, 28, 28))) == 1
    for _ in range(2):
        vision.close()
    with pytest.raises(EngineClosed):
        encoded(vision, noise(1, 28, 28))
