"""The scoring process as it is: started, asked in a line, heard, killed."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ggufrun.child import child_environment
from ggufrun.compare.scoring import files
from tests.compare.scoring.conftest import tokens

pytestmark = pytest.mark.process

Json = dict[str, Any]
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tiny_model: Callable[[str], Path]) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def begin(jobs: Sequence[Json], model: Path | None = None, context: int = 256) -> "subprocess.Popen[str]":
        settings = {"path": str(model or tiny_model("llama-tiny")), "threads": 1, "devices": [], "loras": []}
        question = {"model": settings, "kv_type": "f16", "context": context, "jobs": jobs}
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "ggufrun.compare.scoring.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=child_environment() | {"GGML_NO_BACKTRACE": "1"},
            encoding="utf-8",
        )
        started.append(child)
        assert child.stdin is not None
        child.stdin.write(json.dumps(question) + "\n")
        child.stdin.flush()
        return child

    yield begin
    for child in started:
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                stream.close()


def events(child: "subprocess.Popen[str]") -> list[Json]:
    assert child.stdout is not None
    return [json.loads(line) for line in child.stdout]


def told(said: Sequence[Json]) -> list[tuple[str, int | None]]:
    """The events but progress, and the jobs that they are about."""
    return [(each["event"], each.get("job")) for each in said if each["event"] != "progress"]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    files.write_tokens(tmp_path / "text.npz", [tokens(64, seed=1), tokens(64, seed=2)], [32, 32], [0, 1])
    return tmp_path / "text.npz"


def of_reference(text: Path, name: str) -> Json:
    folder = text.parent
    out, base = folder / f"{name}.npz", folder / f"{name}.base.npz"
    return {"kind": "score", "tokens": str(text), "base": None, "write_base": str(base), "batch": 512, "out": str(out)}


def test_all_jobs_of_a_row(start: Start, text: Path, tmp_path: Path) -> None:
    files.write_prompts(tmp_path / "prompts.npz", [tokens(9, seed=3), tokens(5, seed=4)])
    files.write_items(tmp_path / "items.npz", [tokens(9, seed=5)], [[[5], [6, 7]]])
    place = {
        name: str(tmp_path / f"{name}.npz") for name in ("own", "own.base", "itself", "prompts", "a", "b", "items", "c")
    }
    jobs: list[Json] = [
        of_reference(text, "own"),
        {"kind": "score", "tokens": str(text), "base": place["own.base"], "write_base": None, "out": place["itself"]},
        {"kind": "write", "prompts": place["prompts"], "max_tokens": 4, "follow": None, "out": place["a"]},
        {"kind": "write", "prompts": place["prompts"], "max_tokens": 4, "follow": place["a"], "out": place["b"]},
        {"kind": "choose", "items": place["items"], "out": place["c"]},
        {"kind": "speed", "pp": 16, "tg": 2, "depths": [0, 8], "reps": 2, "out": str(tmp_path / "s.json")},
    ]
    child = start(jobs)
    said = events(child)
    assert told(said) == [("loaded", None), ("peak", None), *(("done", job) for job in range(6))]
    assert child.wait(60) == 0
    assert said[0]["load_s"] > 0 and 20e6 < said[1]["bytes"] < 2e9
    assert {each["job"] for each in said if each["event"] == "progress" and each["done"] == each["of"]} == set(range(6))
    scores = files.read_scores(tmp_path / "itself.npz")
    assert len(scores.kld) == 62 and not scores.kld.any() and scores.same_top.all()
    assert files.read_written(tmp_path / "b.npz").agreed.tolist() == [4, 4]
    assert len(files.read_logp(tmp_path / "c.npz")) == 2
    assert len(json.loads((tmp_path / "s.json").read_text())["depths"]["8"]["tg"]) == 2
    assert not [each.name for each in tmp_path.iterdir() if each.name.startswith(".")]


def test_mistrals_large_vocabulary_twice_gives_the_same_bits(
    start: Start, text: Path, tiny_model: Callable[[str], Path]
) -> None:
    for name in ("first", "second"):
        assert told(events(start([of_reference(text, name)], tiny_model("mistral3-v13"))))[-1] == ("done", 0)
    for end in (".npz", ".base.npz"):
        assert (text.parent / f"first{end}").read_bytes() == (text.parent / f"second{end}").read_bytes()
    assert np.isfinite(files.read_scores(text.parent / "second.npz").nll).all()


def test_a_job_that_fails_does_not_end_the_others(start: Start, text: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(b"PK")
    out = str(tmp_path / "out.npz")
    against: Json = {"kind": "score", "tokens": str(text), "base": str(tmp_path / "broken.npz"), "out": out}
    said = events(start([against, {"kind": "guess"}, {"kind": "choose"}, of_reference(text, "own")]))
    failed = [("failed", job) for job in range(3)]
    assert told(said) == [("loaded", None), ("peak", None), *failed, ("done", 3)]
    assert said[2]["type"] == "DamagedFile" and "measured anew" in said[2]["hint"]
    assert said[3]["type"] == "InputError" and "speed" in said[3]["hint"]
    assert not Path(out).exists()


@pytest.mark.parametrize("content", [None, b"GGUF no more"])
def test_a_model_that_does_not_load_says_why(start: Start, text: Path, content: bytes | None) -> None:
    model = text.parent / "model.gguf"
    if content:
        model.write_bytes(content)
    child = start([of_reference(text, "own")], model)
    said = events(child)
    assert told(said) == [("failed", None)]
    assert said[0]["type"] == "ModelFileError" and "model.gguf" in said[0]["message"]
    assert child.wait(60) == 0


def test_a_context_that_is_too_large_says_so(start: Start, text: Path) -> None:
    said = events(start([of_reference(text, "own")], context=2_000_000_000))
    assert told(said) == [("failed", None)]
    assert said[0]["type"] == "OutOfMemory" and "--context" in said[0]["hint"]


def test_killed_amid_a_job_it_leaves_whole_files_only(start: Start, text: Path) -> None:
    long = text.with_name("long.npz")
    files.write_tokens(long, [tokens(256, seed=seed) for seed in range(2000)], [128] * 2000, [0] * 2000)
    child = start([of_reference(text, "short"), of_reference(long, "own")])
    assert child.stdout is not None
    for line in child.stdout:
        said = json.loads(line)
        if said["event"] == "progress" and said["job"] == 1:
            break
    assert said["done"] < said["of"]
    child.kill()
    child.wait()
    there = {each.name for each in text.parent.iterdir() if not each.name.startswith(".")}
    assert there == {"text.npz", "long.npz", "short.npz", "short.base.npz"}
    files.read_scores(text.with_name("short.npz"))


def test_it_ends_with_its_parent(start: Start, text: Path) -> None:
    long = text.with_name("long.npz")
    files.write_tokens(long, [tokens(256, seed=seed) for seed in range(2000)], [128] * 2000, [0] * 2000)
    child = start([of_reference(long, "own")])
    assert child.stdout is not None and child.stdin is not None
    assert json.loads(child.stdout.readline())["event"] == "loaded"
    child.stdin.close()
    assert child.wait(60) == 1
