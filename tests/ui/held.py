"""Servers that start as a user's does, with Gradio still to be imported; and whose import waits for the test."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.api.served import Served
from tests.listening import address_of
from tests.program import at_home
from tests.ui.browser import Tab

# While a module is looked for nobody else can import anything; while it runs they can.
_SITE: Final = """
import os, sys, time
from importlib.machinery import PathFinder

class Held:
    def find_spec(self, name, path=None, target=None):
        if name != "gradio.blocks":
            return None
        spec = PathFinder.find_spec(name, path, target)
        run = spec.loader.exec_module

        def exec_module(module):
            while not os.path.exists(os.environ["HELD"]):
                time.sleep(0.02)
            if os.path.getsize(os.environ["HELD"]):
                raise ImportError("Gradio is broken.")
            run(module)

        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Held())
"""


@contextmanager
def cold(home: Path, *arguments: str, **environment: str) -> Iterator[Served]:
    """`ggufrun ARGUMENTS` that serves, until it says where it is: a process of its own, which has imported nothing."""
    line = [sys.executable, "-m", "ggufrun", *arguments]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=at_home(home, **environment))
    try:
        address, log = address_of(process, r" at (https?://[^\s/]+)")
        with httpx.Client(base_url=address, timeout=120) as client:
            yield Served(process, client, log)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


@dataclass(frozen=True)
class Held:
    server: Served
    file: Path

    @property
    def home(self) -> str:
        return str(self.server.client.base_url).rstrip("/")

    def build(self) -> None:
        self.file.touch()

    def fail(self) -> None:
        self.file.write_text("broken")


@contextmanager
def held(folder: Path, *arguments: str) -> Iterator[Held]:
    """Its page is not built before the test says so. Its data are in `folder / "home"`."""
    (folder / "site").mkdir(parents=True)
    (folder / "site" / "sitecustomize.py").write_text(_SITE)
    more = {"PYTHONPATH": str(folder / "site"), "HELD": str(folder / "go")}
    with cold(folder / "home", *arguments, **more) as server:
        yield Held(server, folder / "go")


def arrived(user: Tab) -> None:
    """The page's own field is there, and has what was written before."""
    user.page.locator("#first").wait_for(state="detached")
    user.page.locator("#ask textarea").wait_for()
