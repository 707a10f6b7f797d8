"""Node.js and its two SDKs, installed once for each package-lock.json into the tests' cache."""

import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import platformdirs
import pytest

HERE = Path(__file__).parent
INSTALL_S = 110


@cache
def node_folder() -> Path:
    """A folder with the SDKs in its node_modules. Skips the test where there is no Node.js or no registry."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js is not installed: sudo apt-get install nodejs npm, or nodejs.org")
    lock = (HERE / "package-lock.json").read_bytes()
    name = f"node-{hashlib.sha256(lock).hexdigest()[:16]}"
    folder = platformdirs.user_cache_path("ggufrun-tests", appauthor=False) / name
    if not folder.exists():
        part = folder.with_name(f"{name}.{os.getpid()}")
        part.mkdir(parents=True)
        for file in ("package.json", "package-lock.json"):
            shutil.copy(HERE / file, part)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=part, capture_output=True, text=True, timeout=INSTALL_S)
        if done.returncode:
            shutil.rmtree(part)
            pytest.skip(f"npm ci failed, is the registry in reach? {done.stderr[-300:]}")
        try:
            part.rename(folder)
        except OSError:  # another worker was first
            shutil.rmtree(part)
    return folder


def run_node(script: str, **environment: str) -> str:
    """What an ES module prints. A failure shows its standard error."""
    folder = node_folder()
    command = ["node", "--input-type=module", "--eval", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    return done.stdout
