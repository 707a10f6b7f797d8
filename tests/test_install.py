"""The installer's decisions, without installing: what fits the machine, what an index has, what one sees of it."""

import functools
import http.server
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ggufrun.install.environment import Environment
from ggufrun.install.llama_build import cmake_environment, index_has, listed
from ggufrun.install.machine import cuda_wheels, fingerprint
from ggufrun.install.progress import InstallError, Progress, follow

BANNER = "| NVIDIA-SMI 550.54.15     Driver Version: 550.54.15    CUDA Version: {} |"
NAME = '<a href="https://host/v{0}/llama_cpp_python-{0}-{1}.whl">llama_cpp_python-{0}-{1}.whl</a>'


@pytest.mark.parametrize(
    ("version", "capabilities", "expected"),
    [
        ("12.4", "8.9\n", ["cu124", "cu123", "cu122", "cu121", "cu118"]),
        ("12.9", "9.0\n", ["cu125", "cu124", "cu123", "cu122", "cu121", "cu118"]),
        ("13.1", "9.0\n", ["cu130", "cu125", "cu124", "cu123", "cu122", "cu121", "cu118"]),
        ("13.1", "9.0\n6.1\n", ["cu125", "cu124", "cu123", "cu122", "cu121", "cu118"]),
        ("11.4", "8.6\n", []),
    ],
)
def test_cuda_wheels_follow_the_driver_and_the_oldest_card(
    version: str, capabilities: str, expected: list[str]
) -> None:
    assert cuda_wheels(BANNER.format(version), capabilities) == expected


def test_newer_banner_wording_and_no_banner() -> None:
    assert cuda_wheels("| Driver Version: 590.1  CUDA UMD Version: 13.2 |", "9.0")[0] == "cu132"
    assert cuda_wheels("NVIDIA-SMI has failed", "") == []


@pytest.mark.parametrize(
    ("version", "tag", "system", "machine", "expected"),
    [
        ("0.3.36", "py3-none-linux_x86_64", "linux", "x86_64", True),
        ("0.3.40+cu124", "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", "linux", "x86_64", True),
        ("0.3.36", "py3-none-win_amd64", "win32", "AMD64", True),
        ("0.3.36", "py3-none-macosx_11_0_arm64", "darwin", "arm64", True),
        ("0.3.35", "py3-none-linux_x86_64", "linux", "x86_64", False),
        ("0.4.36", "py3-none-linux_x86_64", "linux", "x86_64", False),
        ("0.3.36", "py3-none-linux_aarch64", "linux", "x86_64", False),
        ("0.3.36", "py3-none-macosx_11_0_x86_64", "linux", "x86_64", False),
    ],
)
def test_index_page(version: str, tag: str, system: str, machine: str, expected: bool) -> None:
    assert listed(NAME.format(version, tag), system, machine) is expected


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A real wheel index on loopback, with a wheel for every platform under `cu124` and none under `cu118`."""
    tags = ("linux_x86_64", "linux_aarch64", "macosx_11_0_arm64", "macosx_11_0_x86_64", "win_amd64")
    for name, version in (("cu124", "0.3.36"), ("cu118", "0.3.10")):
        folder = tmp_path / name / "llama-cpp-python"
        folder.mkdir(parents=True)
        (folder / "index.html").write_text("\n".join(NAME.format(version, f"py3-none-{tag}") for tag in tags))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()  # how soon it hears shutdown
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_index_over_http(index: str) -> None:
    assert index_has("cu124", index)
    assert not index_has("cu118", index), "only old versions there"
    assert not index_has("metal", index), "no such page"
    assert not index_has("cu124", "http://127.0.0.1:9"), "nothing listens there"


def test_progress_reads_pip_ninja_and_make() -> None:
    progress = Progress("compiling")
    progress.feed("  Downloading llama_cpp_python-0.3.36.tar.gz (76.6 MB)")
    assert "downloading llama_cpp_python-0.3.36.tar.gz" in progress.text(progress.start)
    progress.feed("  [34/136] /usr/bin/c++ -O3 ...")
    assert progress.fraction == 0.25 and progress.counting is not None
    assert "25%  1:40  about 5:00 to go" in progress.text(progress.counting + 100)
    progress.feed("  [ 50%] Building CXX object")
    assert progress.fraction == 0.5
    progress.feed("warning: [-Wunused] [1/2]")
    assert progress.fraction == 0.5, "only at the beginning of a line"


def test_follow_keeps_the_log_and_shows_the_end_of_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = "import sys; [print('line', i) for i in range(100)]; sys.exit(int(sys.argv[1]))"
    log = tmp_path / "deep" / "log"
    follow("working", [sys.executable, "-c", script, "0"], log)
    assert log.read_text().count("line") == 100
    assert "working: done" in capsys.readouterr().out
    with pytest.raises(InstallError, match="working failed"):
        follow("working", [sys.executable, "-c", script, "3"], log)
    shown = capsys.readouterr().out
    assert "line 99" in shown and "line 70\n" in shown and "line 69\n" not in shown


def test_stamp_is_believed_only_whole(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    facts = {"build": "compiled", "recipe": "r", "cmake_args": "", "project": "p", "extras": ["demo"]}
    environment.folder.mkdir()
    environment.stamp_file.write_text(json.dumps(facts))
    assert environment.stamp() is None, "there is no Python in it"
    environment.python.parent.mkdir()
    environment.python.touch()
    stamp = environment.stamp()
    assert stamp is not None and stamp.extras == ("demo",)
    for damaged in ("", "[]", "{}", json.dumps(facts)[:-5], json.dumps(facts | {"more": 1})):
        environment.stamp_file.write_text(damaged)
        assert environment.stamp() is None


def test_flags_of_the_user_stay_and_change_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_CUDA=on")
    flags = cmake_environment("CMAKE_PROJECT_llama_cpp_INCLUDE")["CMAKE_ARGS"]
    assert flags.startswith("-DGGML_CUDA=on ") and "llama.cmake" in flags
    assert fingerprint("") == fingerprint("") != fingerprint("-DGGML_CUDA=on")
