"""`ggufrun quantize` as a user starts it: what it prints, what it says loudly, and what is left when it is ended"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.llama.quantizable import made, wanted, write_imatrix, write_wide
from tests.program import ROOT, at_home, run_ggufrun

LOUD = "WARNING: wide-Q4_K_M.gguf is quantized already (Q4_K_M)"


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wide(tmp_path_factory.mktemp("wide") / "wide-F16.gguf")


@pytest.fixture
def run(tmp_path: Path) -> "Callable[..., subprocess.CompletedProcess[str]]":
    home = at_home(tmp_path / "home")
    return lambda *arguments: run_ggufrun("quantize", *map(str, arguments), environment=home)


@pytest.mark.process
def test_a_ladder(wide: Path, tmp_path: Path, run: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    out = tmp_path / "new" / "folder"
    dry = run(wide, "--to", "Q8_0,Q4_K_M,IQ2_XXS", "--out", out, "--dry-run", "--json")
    assert (dry.returncode, dry.stderr) == (0, "") and not out.exists()
    planned = json.loads(dry.stdout)
    assert [each["state"] for each in planned["files"]] == ["planned"] * 3
    assert [each["needs_imatrix"] for each in planned["files"]] == [False, False, True]
    assert planned["source"]["quantized"] is False and planned["warnings"] == []
    refused = run(wide, "--to", "Q8_0,Q4_K_M,IQ2_XXS", "--out", out)
    assert refused.returncode == 2 and "IQ2_XXS needs an importance matrix" in refused.stderr and not out.exists()
    done = run(wide, "--to", "q8_0,Q4_K_M", "--out", out)
    assert (done.returncode, done.stderr) == (0, "") and "made in" in done.stdout
    sizes = {each["file"]: each["bytes"] for each in planned["files"][:2]}
    assert {str(path): path.stat().st_size for path in out.iterdir()} == sizes
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    again = run(wide, "--to", "Q8_0,Q4_K_M,Q6_K", "--out", out, "--json")
    assert [each["state"] for each in json.loads(again.stdout)["files"]] == ["kept", "kept", "made"]
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.process
def test_requantizing_is_said_loudly(
    wide: Path, tmp_path: Path, run: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    assert run(wide, "--to", "Q4_K_M,Q8_0", "--out", tmp_path).returncode == 0
    done = run(tmp_path / "wide-Q4_K_M.gguf", "--to", "Q6_K", "--json")  # beside the file, where nothing is said
    assert done.returncode == 0 and LOUD in done.stderr and (tmp_path / "wide-Q6_K.gguf").is_file()
    told = json.loads(done.stdout)
    assert told["source"]["quantized"] is True and told["warnings"][0] in done.stderr.replace("\n", " ")
    assert "From Q8_0 the difference is small" in run(tmp_path / "wide-Q8_0.gguf", "--to", "Q2_K", "--dry-run").stderr


@pytest.mark.process
def test_bad_input(wide: Path, tmp_path: Path, run: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    text = tmp_path / "notes.gguf"
    text.write_text("no model\n")
    matrix = write_imatrix(tmp_path / "imatrix.gguf", {})
    for arguments, words in (
        ((wide, "--to", "Q4_L"), "makes no 'Q4_L'"),
        ((wide, "--to", "Q8_0", "--imatrix", tmp_path / "none.gguf"), "no such file"),
        ((wide, "--to", "Q8_0", "--imatrix", matrix), "not an importance matrix"),
        ((wide, "--to", "F16", "--force"), "would be written over itself"),
        ((wide, "--to", "Q8_0", "--out", text), "is no folder"),
        ((text, "--to", "Q8_0"), "not a GGUF file"),
        ((tmp_path / "none.gguf", "--to", "Q8_0"), "there is no such file"),
        ((wide, "--to", "Q8_0", "--threads", "513"), "less than or equal to 512"),
        ((wide,), "Missing option"),
    ):
        done = run(*arguments)
        assert done.returncode == 2 and words in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1 and not done.stdout
    assert wide.is_file() and not list(tmp_path.rglob("*.part"))


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="has no limit for the size of files")
def test_a_disk_that_takes_no_more(wide: Path, tmp_path: Path) -> None:
    """Here the system allows no larger file, which llama.cpp sees as a full disk."""
    limit = (500_000, resource.RLIM_INFINITY)
    done = subprocess.run(
        [sys.executable, "-m", "ggufrun", "quantize", str(wide), "--to", "Q8_0", "--out", str(tmp_path / "out")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
        capture_output=True,
        encoding="utf-8",
        env=at_home(tmp_path / "home"),
        cwd=ROOT,
    )
    assert done.returncode == 2 and "cannot be written" in done.stderr
    assert not list((tmp_path / "out").iterdir())


class Begun:
    """A ladder that takes a while, looked at until its second file is half written."""

    def __init__(self, deep: Path, out: Path, home: Path) -> None:
        self.out = out
        command = [sys.executable, "-m", "ggufrun", "quantize", str(deep), "--to", "Q8_0,IQ3_S", "--out", str(out)]
        self.process = subprocess.Popen(
            [*command, "--threads", "1"], stderr=subprocess.PIPE, encoding="utf-8", env=at_home(home), cwd=ROOT
        )
        _until(lambda: self.halves() and any(half.stat().st_size > 100_000 for half in self.halves()))
        self.children = psutil.Process(self.process.pid).children()

    def halves(self) -> list[Path]:
        return list(self.out.glob("*IQ3_S*.part"))

    def names(self) -> set[str]:
        return {path.name for path in self.out.iterdir()}


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes ten seconds as IQ3_S."""
    return write_wide(tmp_path_factory.mktemp("deep") / "deep-F16.gguf", layers=40)


@pytest.fixture
def begun(deep: Path, tmp_path: Path) -> Iterator[Begun]:
    begun = Begun(deep, tmp_path / "out", tmp_path / "home")
    yield begun
    begun.process.kill()
    begun.process.communicate()


def _until(is_so: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.process
def test_ctrl_c_leaves_whole_files_only(begun: Begun) -> None:
    begun.process.send_signal(signal.SIGINT)
    _, said = begun.process.communicate(timeout=30)
    assert begun.process.returncode == 130
    assert "Whole and kept: deep-Q8_0.gguf." in said
    assert begun.names() == {"deep-Q8_0.gguf"}
    assert not any(child.is_running() for child in begun.children)


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be deleted there")
def test_a_killed_one_leaves_whole_files_only(begun: Begun) -> None:
    begun.process.kill()
    begun.process.wait()
    _until(lambda: not begun.halves())
    assert begun.names() == {"deep-Q8_0.gguf"}
    _until(lambda: not any(child.is_running() for child in begun.children))


@pytest.mark.process
@pytest.mark.skipif(sys.platform == "win32", reason="processes end differently there")
def test_a_quantizing_process_that_the_system_kills(begun: Begun) -> None:
    """As Linux does when memory runs out."""
    for child in begun.children:
        child.kill()
    _, said = begun.process.communicate(timeout=30)
    assert begun.process.returncode == 2 and "process was killed" in said and said.count("\n") == 1
    assert begun.names() == {"deep-Q8_0.gguf"}


@pytest.mark.process
def test_what_others_left_half_written_goes(wide: Path, tmp_path: Path) -> None:
    old, young = tmp_path / "wide-Q8_0.gguf.1.part", tmp_path / "wide-Q8_0.gguf.2.part"
    for path, age in ((old, 7200), (young, 60)):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    made(wanted(wide, "Q8_0", tmp_path))
    assert not old.exists() and young.exists()
