"""What opening a model makes of workers' settings, without a worker."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ggufrun.fit.workers import OUTPUT_HERE
from ggufrun.llama import rpc
from ggufrun.opening import workers
from ggufrun.opening.workers import with_output_here
from tests.program import at_home, free_port, run_ggufrun

SHARED = {"rpc": ("10.0.0.2:50052",)}


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without one, whatever llama.cpp was built with."""
    monkeypatch.setattr(rpc, "local_gpus", lambda remote: [])


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_here_the_output_is_the_processors() -> None:
    assert with_output_here(SHARED) == {**SHARED, "override_tensors": (OUTPUT_HERE,)}


@pytest.mark.usefixtures("no_gpu")
def test_what_the_user_placed_stays() -> None:
    placed = {**SHARED, "override_tensors": ("ffn=CPU",)}
    assert with_output_here(placed) == placed and with_output_here({"context": 512}) == {"context": 512}


def test_with_a_gpu_here_the_output_is_its(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "local_gpus", lambda remote: [1])
    assert with_output_here(SHARED) == SHARED


def test_without_layers_elsewhere_no_worker_is_used_or_watched() -> None:
    assert with_output_here({**SHARED, "gpu_layers": 0})["rpc"] == ()
    assert workers.workers_of(()) is None and workers.gpus_of(None, ()) == ()


@pytest.mark.process
def test_a_server_without_the_add_on_says_so_once(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """Or, where llama.cpp has RPC of its own, that nobody is there."""
    nobody = f"127.0.0.1:{free_port()}"
    model = str(tiny_model("llama-tiny"))
    done = run_ggufrun("serve", model, "--rpc", nobody, "--port", "0", "--no-ui", environment=at_home(tmp_path))
    (line,) = done.stderr.splitlines()
    assert done.returncode in (1, 2) and line.startswith("ggufrun: ")
    assert "ggufrun rpc-build" in line or "nobody listens" in line
