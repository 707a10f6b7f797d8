"""Where a child process of these tests lives: its own HF_HOME and data folder, the fake hub, and no other network."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.program import ROOT
from tests.warm_program import run_warm

_NOT_HANDED_ON: Final = ("HF_", "HUGGING", "XDG_", "HTTP", "http", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")
_PATIENCE_S: Final = 60
_LAST: Final = "\nimport json as _json; print('\\nRESULT ' + _json.dumps(result))\n"


@dataclass(frozen=True, slots=True)
class Home:
    """`python(snippet)` runs in a child, where huggingface_hub reads HF_* anew; `result` comes back from it."""

    folder: Path
    endpoint: str

    @property
    def hub_cache(self) -> Path:
        return self.folder / "hf" / "hub"

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_HANDED_ON)}
        own = {
            "HOME": str(self.folder),
            "HF_HOME": str(self.folder / "hf"),
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "NO_PROXY": "*",
            "COLUMNS": "200",
        }
        return kept | own | more

    def start(self, arguments: list[str], **more: str) -> subprocess.Popen[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ggufrun(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return run_warm(*arguments, environment=self.environment(**more), timeout_s=_PATIENCE_S)

    def pull(self, spec: str, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self.ggufrun("pull", spec, "--mirror", self.endpoint, *options, **more)

    def python(self, snippet: str, **more: str) -> Any:
        """The snippet's `result`, by way of JSON. Its traceback fails the test."""
        done = _done(self.start(["-c", snippet + _LAST], **more))
        if done.returncode != 0:
            raise AssertionError(f"the snippet ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return json.loads(done.stdout.rpartition("\nRESULT ")[2])


def _done(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    try:
        out, err = process.communicate(timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"not finished after {_PATIENCE_S} s:\n{out}\n{err}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def snapshot(home: Home, repo: str, commit: str) -> Path:
    return home.hub_cache / f"models--{repo.replace('/', '--')}" / "snapshots" / commit
