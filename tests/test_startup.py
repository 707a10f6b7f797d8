"""A start imports what it needs: what only other commands or other models need comes when they do."""

import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.program import at_home

pytestmark = pytest.mark.process

STARTED = """
import sys
import typer, ggufrun.cli, ggufrun.commandline.run, ggufrun.opening.loading
from pathlib import Path
from ggufrun.opening.planning import Planning
from ggufrun.settings import EngineSettings
from ggufrun.store.resolve import resolve
typer.main.get_command(ggufrun.cli.app)
Planning("demo", resolve("demo"), {}, EngineSettings(), Path(sys.argv[1])).at_once()
print(*sys.modules)
"""
ONLY_API = """
import atexit, sys
atexit.register(lambda: print(*sys.modules))
from ggufrun.cli import main
sys.exit(main(sys.argv[1:]))
"""
LATER = {
    "ggufrun.commandline.library_commands",
    "ggufrun.fit.compute",
    "ggufrun.fit.layout",
    "ggufrun.fit.planner",
    "ggufrun.fit.probe",
    "ggufrun.fit.shape",
    "ggufrun.store.hub_cache",
    "ggufrun.store.hub_models",
    "ggufrun.store.lm_studio",
    "ggufrun.store.ollama",
    "ggufrun.store.own",
    "huggingface_hub",
    "rich",
}


@pytest.mark.usefixtures("demo_path")
def test_the_demo_model_needs_no_other_store_and_no_plan(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    imported = set(done.stdout.split())
    assert "ggufrun.opening.planning" in imported
    assert imported & LATER == set()
    if sys.platform == "linux":  # elsewhere it tells how much memory there is
        assert "psutil" not in imported


def test_a_server_without_a_page_imports_none_of_it(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    """Nor do `ggufrun run` and its like, which are imported with it."""
    code = f"import ggufrun.commandline.run\n{ONLY_API}"
    command = [sys.executable, "-c", code, "serve", str(tiny_model("llama-tiny")), "--no-ui", "--port", "0"]
    pipe, home = subprocess.PIPE, at_home(tmp_path)
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=home) as process:
        assert process.stderr is not None
        address = next(found[0] for line in process.stderr if (found := re.search(r"https?://\S+?(?=/v1)", line)))
        with urllib.request.urlopen(f"{address}/v1/models", timeout=30) as reply:
            assert reply.status == 200
        process.send_signal(signal.SIGTERM)
        imported = set(process.communicate(timeout=30)[0].split())
    assert "ggufrun.api.server" in imported
    assert imported & {"gradio", "mcp", "pypdf", "httpx"} == set()
