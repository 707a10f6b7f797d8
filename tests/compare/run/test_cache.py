"""Where finished parts are: found by what they follow from, and the oldest forgotten"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ggufrun.compare.run.cache import Cache, is_here


def test_the_same_is_found_again_and_anything_else_is_not(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    path = cache.path("text", {"model": "a", "batch": 512}, ".npz")
    assert path == Cache(tmp_path / "cache").path("text", {"batch": 512, "model": "a"}, ".npz")
    others = [({"model": "b", "batch": 512}, "text"), ({"model": "a", "batch": 256}, "text")]
    others.append(({"model": "a", "batch": 512}, "chat"))
    assert len({path, *(cache.path(kind, known, ".npz") for known, kind in others)}) == 4


def test_what_was_not_used_for_the_longest_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for age, name in enumerate(("new", "middle", "old")):
        (tmp_path / name).write_bytes(b"x" * 10)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    assert is_here(tmp_path / "old")  # that is a use
    cache.trim(most=20)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
    assert not is_here(tmp_path / "middle")


def test_what_a_killed_process_was_writing_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, going, old = (
        tmp_path / f".{name}.{pid}"
        for name, pid in (("a.npz", ended.pid), ("b.npz", os.getpid()), ("c.npz", os.getpid()))
    )
    for path in (left, going, old):
        path.write_bytes(b"x" * 10)
    os.utime(old, (1e9, 1e9))  # its number is another process's by now
    Cache(tmp_path).trim(most=0)
    assert not left.exists() and not old.exists()
    assert going.exists()


def test_a_part_that_cannot_be_removed_stands_in_no_others_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows forbids it while another program has it open; that is played here."""
    unlink = Path.unlink

    def forbidden(path: Path, missing_ok: bool = False) -> None:
        if path.name == "open":
            raise PermissionError(13, "in use", str(path))
        unlink(path, missing_ok=missing_ok)

    for age, name in enumerate(("new", "open", "old")):
        (tmp_path / name).write_bytes(b"x" * 10)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(Path, "unlink", forbidden)
    Cache(tmp_path).trim(most=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "open"]


def test_what_is_made_here_is_made_once(tmp_path: Path) -> None:
    cache, made = Cache(tmp_path), []

    def write(path: Path) -> None:
        made.append(path)
        path.write_text("content")

    first = cache.written("tokens", {"tokens": [1]}, ".npz", write)
    assert cache.written("tokens", {"tokens": [1]}, ".npz", write) == first
    assert made == [first]
