"""Thousands of damaged headers: our reader refuses them or reads them, and what it reads llama.cpp survives.

Each is tried in a child process with limits, so that a crash, a hang or a flood of memory is seen and counted.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ggufrun.errors import ModelFileError
from ggufrun.weights.cursor import MAX_STRINGS
from ggufrun.weights.header import read_header
from tests.weights import gguf_bytes as make
from tests.weights.mutations import structure_of, variant

SECONDS = 1.0  # of processor time, for one header
EACH = [pytest.param(1, id="some"), pytest.param(20, id="all", marks=pytest.mark.slow)]


@dataclass
class Tried:
    outcomes: Counter[str] = field(default_factory=Counter)
    odd: dict[int, str] = field(default_factory=dict)  # by the variant's number
    slowest: float = 0.0


def attempt(how: str, seed: Path | None, count: int, folder: Path) -> Tried:
    """The first `count` variants. A child that dies is an odd outcome of the variant that it had then."""
    front = read_header(seed).data_offset if seed else 0
    tried, at = Tried(), 0
    while at < count:
        command = [sys.executable, "-m", "tests.weights.mutation_child", how, str(seed or "none"), str(front)]
        done = subprocess.run(
            [*command, str(at), str(count), str(folder)],
            capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        at = count if done.returncode == 0 else _died(tried, done, at)
        _collect(tried, done.stdout)
    return tried


def _died(tried: Tried, done: "subprocess.CompletedProcess[str]", at: int) -> int:
    numbers = [json.loads(line).get("number") for line in done.stdout.splitlines()]
    assert numbers, done.stderr  # it did not even begin
    last = max((number for number in numbers if number is not None), default=at)
    tried.odd[last] = f"died of {done.returncode}: {done.stderr[-300:]}"
    return last + 1


def _collect(tried: Tried, stdout: str) -> None:
    number = -1
    for line in map(json.loads, stdout.splitlines()):
        number = line.get("number", number)
        if "outcome" not in line:
            continue
        tried.outcomes[line["outcome"]] += 1
        tried.slowest = max(tried.slowest, line["seconds"])
        if line["outcome"] not in ("refused", "accepted", "loaded", "not loaded"):
            tried.odd[number] = line["outcome"]


def check(tried: Tried, count: int) -> None:
    assert tried.odd == {}
    assert tried.outcomes.total() == count
    assert tried.slowest < SECONDS


@pytest.mark.process
@pytest.mark.parametrize("each", EACH)
def test_a_tiny_models_header(tiny_model: Callable[[str], Path], tmp_path: Path, each: int) -> None:
    tried = attempt("read", tiny_model("llama-tiny"), 250 * each, tmp_path)
    check(tried, 250 * each)
    assert tried.outcomes["refused"] > 100 * each and tried.outcomes["accepted"] > 25 * each


@pytest.mark.process
@pytest.mark.parametrize("each", EACH)
def test_the_demo_models_header(demo_path: Path, tmp_path: Path, each: int) -> None:
    tried = attempt("read", demo_path, 30 * each, tmp_path)
    check(tried, 30 * each)
    assert tried.outcomes["refused"] > 5 * each and tried.outcomes["accepted"] > each


@pytest.mark.process
@pytest.mark.parametrize("each", EACH)
def test_llama_cpp_survives_what_the_reader_accepts(
    tiny_model: Callable[[str], Path], tmp_path: Path, each: int
) -> None:
    tried = attempt("load", tiny_model("llama-tiny"), 250 * each, tmp_path)
    check(tried, 250 * each)
    assert tried.outcomes["loaded"] > 10 * each and tried.outcomes["refused"] > 100 * each


@pytest.mark.process
@pytest.mark.parametrize("each", EACH)
def test_llama_cpp_survives_vocabularies_made_by_chance(tmp_path: Path, each: int) -> None:
    tried = attempt("load", None, 200 * each, tmp_path)
    check(tried, 200 * each)
    assert tried.outcomes["loaded"] > 10 * each and tried.outcomes["not loaded"] > 10 * each


def test_the_variants_are_many_things_and_always_the_same() -> None:
    data = make.small()[:-192]
    structure = structure_of(data)
    assert (len(structure.fields), len(structure.tensors)) == (8, 2) and structure.end <= len(data)
    some = {variant(data, structure, number) for number in range(500)}
    assert len(some) > 400
    assert variant(data, structure, 7) == variant(data, structure, 7)
    assert any(b"../../" in each for each in some)
    assert any(len(each) < structure.end for each in some) and any(len(each) > len(data) for each in some)


def tokens(*words: bytes, kind: str = "gpt2", types: bytes = b"") -> list[bytes]:
    listed = make.array(make.STRING, len(words), b"".join(map(make.text, words)))
    fields = [
        make.field("tokenizer.ggml.model", make.STRING, make.text(kind)),
        make.field("tokenizer.ggml.tokens", make.ARRAY, listed),
    ]
    if types:
        fields.append(
            make.field("tokenizer.ggml.token_type", make.ARRAY, make.array(make.INT32, len(types) // 4, types))
        )
    return fields


MANY = make.array(make.STRING, MAX_STRINGS - 1, b"")
BYTE = (6).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (tokens(b"a", b"b", b"a"), "1 tokens that are there twice"),
        (tokens(b"a\0x", b"a\0y"), "there twice"),
        (tokens(b"", b"[EMPTY_0]"), "there twice"),
        (tokens(b"a", kind="bert", types=BYTE), "word pieces has byte tokens"),
        ([make.field("llama.vocab_size", make.UINT32, b"\xff" * 4)], r"'llama\.vocab_size' is 4,294,967,295"),
        ([make.field("tokenizer.ggml.tokens", make.ARRAY, MANY)], "has 3,999,999 tokens"),
    ],
)  # fmt: skip
def test_vocabularies_that_llama_cpp_would_die_of(tmp_path: Path, fields: list[bytes], says: str) -> None:
    path = make.write(tmp_path / "m.gguf", make.gguf(fields))
    with pytest.raises(ModelFileError, match=says):
        read_header(path)


@pytest.mark.parametrize(
    "fields", [tokens(b"a", b"", b"", b"b\0"), tokens(b"a", types=BYTE), tokens(b"x" * 300_000, b"y" * 300_000, b"z")]
)
def test_vocabularies_that_are_right(tmp_path: Path, fields: list[bytes]) -> None:
    read_header(make.write(tmp_path / "m.gguf", make.gguf(fields)))
