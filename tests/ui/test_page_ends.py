"""What the page leaves behind in the folder of its uploads, when its program ends while it is still being made."""

import asyncio
import threading
from pathlib import Path

import pytest

from ggufrun.ui.page import Page, PageSettings

WAIT_S = 120.0  # Gradio's import, on a machine that is busy


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.1, 0.2])  # it is built in half a second once Gradio is imported
async def test_nothing_is_written_once_it_has_ended(tmp_path: Path, after_s: float) -> None:
    """Gradio makes folders while it is built, and the one that they lie in, if it is gone."""
    import ggufrun.ui.mount  # noqa: F401  # so that what is left to do is to build it

    page = Page(PageSettings("http://127.0.0.1:9"), tmp_path / "uploads")
    async with page.running():
        makes = await _thread()
        makes.join(after_s)  # the loop is as busy as it is while a model is loaded
    left = _all(tmp_path)
    makes.join(WAIT_S)
    assert not makes.is_alive()
    assert _all(tmp_path) == left


def _all(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


async def _thread() -> threading.Thread:
    async with asyncio.timeout(WAIT_S):
        while True:
            if found := [each for each in threading.enumerate() if each.name == "page"]:
                return found[0]
            await asyncio.sleep(0)
