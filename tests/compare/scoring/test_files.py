"""Files between a comparison and its scoring processes: what goes in comes out, and nothing else does."""

import os
import time
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from ggufrun.compare.results import Scores
from ggufrun.compare.scoring import archive, files
from ggufrun.compare.scoring.archive import DamagedFile
from ggufrun.compare.scoring.base import Kept, keep
from ggufrun.compare.scoring.base_file import BaseReader, BaseWriter
from tests.compare.scoring.test_distribution import known

SCORES = Scores(
    nll=np.array([1.5, np.nan]),
    kld=np.array([0.25, np.nan]),
    dp=np.array([-0.5, np.nan]),
    same_top=np.array([True, False]),
    chunk=np.array([0, 1], np.int32),
    depth=np.array([9, 7], np.int32),
    part=np.array([0, 2], np.int32),
)
WRITTEN = files.Written(
    tokens=np.array([5, 6, 7], np.int32),
    offsets=np.array([0, 1, 3]),
    p_top=np.array([0.5, 0.25, 1], np.float32),
    top_ids=np.arange(24, dtype=np.int32).reshape(3, 8),
    top_p=np.ones((3, 8), np.float32),
    end=np.array([2, -1], np.int32),
    end_p=np.array([0.75, np.nan], np.float32),
    agreed=np.array([1, 0], np.int32),
    p_of_reference=np.array([np.nan, 0.125], np.float32),
)


def kept(seed: int) -> Kept:
    return keep(known(np.random.default_rng(seed).standard_normal(300).astype(np.float32)), seed)


def same(left: object, right: object, kind: type) -> bool:
    arrays = [(getattr(left, each.name), getattr(right, each.name)) for each in fields(kind)]
    return all(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in arrays)


def test_scores_and_answers_come_back(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    files.write_scores(path, SCORES)
    assert same(files.read_scores(path), SCORES, Scores)
    files.write_written(path, WRITTEN)
    assert same(files.read_written(path), WRITTEN, files.Written)
    assert files.read_written(path).answers() == [[5], [6, 7]]
    assert [each.name for each in tmp_path.iterdir()] == ["a.npz"]


def test_texts_prompts_and_items_come_back(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    files.write_tokens(path, [[1, 2, 3], [4, 5], [6]], [1, 0, 0], [0, 1, 1])
    text = files.read_tokens(path)
    assert text.counts.tolist() == [1, 1, 0] and text.positions == 2 and text.longest == 3
    files.write_prompts(path, [[1, 2], [], [3]])
    assert files.read_prompts(path) == [[1, 2], [], [3]]
    files.write_items(path, [[1], [2, 3]], [[[4], [5, 6]], [[7]]])
    assert files.read_items(path) == [files.Item([1], [[4], [5, 6]]), files.Item([2, 3], [[7]])]


def test_texts_are_told_apart(tmp_path: Path) -> None:
    digests = set()
    for name, chunks, firsts in [
        ("a", [[1, 2], [3]], [0, 0]),
        ("b", [[1], [2, 3]], [0, 0]),
        ("c", [[1, 2], [3]], [1, 0]),
    ]:
        files.write_tokens(tmp_path / name, chunks, firsts, [0, 0])
        digests.add(files.read_tokens(tmp_path / name).digest())
    assert len(digests) == 3


def test_a_base_comes_back_chunk_by_chunk(tmp_path: Path) -> None:
    with BaseWriter(tmp_path / "base.npz", "text", 300) as writer:
        writer.add([kept(1), None, kept(2)])
        writer.add([])
        writer.add([kept(3)])
        assert not (tmp_path / "base.npz").exists()
    with BaseReader(tmp_path / "base.npz") as base:
        assert (base.text, base.vocabulary) == ("text", 300)
        chunk = base.chunk(0)
        assert len(chunk) == 3 and chunk.at(1) is None and len(base.chunk(1)) == 0
        for found, expected in [(chunk.at(0), kept(1)), (chunk.at(2), kept(2)), (base.chunk(2).at(0), kept(3))]:
            assert found is not None and found.ids.tolist() == expected.ids.tolist()
            assert found.log_p.tolist() == expected.log_p.tolist()
            assert (found.nll, found.top) == (expected.nll, expected.top)
        with pytest.raises(DamagedFile):
            base.chunk(3)


def test_a_base_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), BaseWriter(tmp_path / "base.npz", "text", 300) as writer:
        writer.add([kept(1)])
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_leaves_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    files.write_scores(path, SCORES)
    with pytest.raises(ValueError, match="Object arrays"):
        archive.save(path, {"nll": np.array([object()])})
    assert same(files.read_scores(path), SCORES, Scores)
    assert len(list(tmp_path.iterdir())) == 1


def test_what_killed_processes_left_is_removed_in_time(tmp_path: Path) -> None:
    old, new = time.time() - 7 * 3600, time.time() - 3600
    left = {".b.npz.77": old, ".c.npz.78": new, ".d.npz.keep": old, ".e.txt.79": old, "f.npz.80": old}
    for name, when in left.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (when, when))
    files.write_scores(tmp_path / "a.npz", SCORES)
    assert {each.name for each in tmp_path.iterdir()} == {"a.npz", *left} - {".b.npz.77"}


@pytest.mark.parametrize("length", [0, 1, 100, -500, -1])
def test_a_cut_file_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a.npz"
    files.write_scores(path, SCORES)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DamagedFile, match=r"a\.npz is damaged.*measured anew"):
        files.read_scores(path)


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    files.write_scores(path, SCORES)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(SCORES.nll.tobytes(), SCORES.dp.tobytes()))
    with pytest.raises(DamagedFile):
        files.read_scores(path)


@pytest.mark.parametrize(
    "read", [files.read_scores, files.read_written, files.read_tokens, files.read_items, files.read_logp, BaseReader]
)
def test_others_files_are_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "a.npz"
    for content in (b"not a zip", b"PK\x03\x04 no zip either"):
        path.write_bytes(content)
        with pytest.raises(DamagedFile):
            read(path)
    np.savez(path, weights=np.zeros(3))
    with pytest.raises(DamagedFile):
        read(path)
    objects = np.array([{}], object)  # to read it would run code
    np.savez(path, nll=objects, tokens=objects, logp=objects, text=objects)
    with pytest.raises(DamagedFile):
        read(path)
    with pytest.raises(DamagedFile):
        read(tmp_path / "missing.npz")


def test_arrays_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    files.write_scores(path, replace(SCORES, kld=np.zeros(3)))
    with pytest.raises(DamagedFile):
        files.read_scores(path)
    files.write_written(path, replace(WRITTEN, offsets=np.array([0, 1, 4])))
    with pytest.raises(DamagedFile):
        files.read_written(path)
    files.write_tokens(path, [[1, 2]], [0, 0], [0, 0])
    with pytest.raises(DamagedFile):
        files.read_tokens(path)
    files.write_items(path, [[1], [2]], [[[3]]])
    with pytest.raises(DamagedFile):
        files.read_items(path)
