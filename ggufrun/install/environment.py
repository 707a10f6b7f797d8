"""The project's `.venv`: made once, brought up to date when pyproject.toml changes, otherwise left alone."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Set
from dataclasses import asdict, dataclass
from pathlib import Path

from ggufrun.install import llama_build
from ggufrun.install.machine import cache_folder, output_of
from ggufrun.install.progress import InstallError, follow, say


@dataclass(frozen=True)
class Stamp:
    """What an environment was made from. A wheel's build name, llama_build's recipe, pyproject.toml's sha256."""

    build: str
    recipe: str
    cmake_args: str
    project: str
    extras: tuple[str, ...]


class Environment:
    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / ".venv"
        self.stamp_file = self.folder / "ggufrun.json"
        self.python = Path(self.program("python"))

    def program(self, name: str) -> str:
        windows = sys.platform == "win32"
        return str(self.folder / ("Scripts" if windows else "bin") / (f"{name}.exe" if windows else name))

    def stamp(self) -> Stamp | None:
        """The stamp of a finished environment; None where there is none, or it cannot be read."""
        try:
            facts = json.loads(self.stamp_file.read_text())
            stamp = Stamp(**(facts | {"extras": tuple(facts["extras"])}))
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return stamp if self.python.exists() else None

    def ensure(self, extras: Set[str]) -> None:
        """Bring the environment up to date, with these extras at least: a few milliseconds where it is."""
        old, cmake_args = self.stamp(), os.environ.get("CMAKE_ARGS", "")
        project = hashlib.sha256((self.root / "pyproject.toml").read_bytes()).hexdigest()
        same_llama = old and old.recipe == llama_build.recipe() and cmake_args in ("", old.cmake_args)
        if old and same_llama and old.project == project and extras <= set(old.extras):
            return
        self._make()
        self.stamp_file.unlink(missing_ok=True)
        build = old.build if old and same_llama else llama_build.install_llama(self.python)
        wanted = tuple(sorted(extras | set(old.extras if old else ())))
        command = [str(self.python), "-m", "pip", "install", "-e", f"{self.root}[{','.join(wanted)}]"]
        follow("installing ggufrun and what it needs", command, cache_folder() / "packages.log")
        used = old.cmake_args if old and same_llama else cmake_args
        stamp = Stamp(build, llama_build.recipe(), used, project, wanted)
        self.stamp_file.write_text(json.dumps(asdict(stamp)))

    def _make(self) -> None:
        if self.python.exists() and output_of(str(self.python), "-m", "pip", "--version"):
            return
        say(f"making {self.folder.name} with Python {platform.python_version()}")
        base = getattr(sys, "_base_executable", sys.executable)  # not another environment's
        made = subprocess.run([base, "-m", "venv", "--clear", self.folder], capture_output=True, text=True)
        if made.returncode:
            reason = (made.stdout + made.stderr).strip().splitlines()
            hint = "On Debian and Ubuntu: sudo apt-get install python3-venv"
            raise InstallError(f"Python could not make {self.folder}: {reason[-1] if reason else '?'}. {hint}")
