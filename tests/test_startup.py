"""A start imports what it needs: what only other commands or other models need comes when they do."""

import subprocess
import sys
from pathlib import Path

import pytest

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
