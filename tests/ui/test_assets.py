"""The page's scripts, which share one `window`."""

import re
from importlib.resources import files

from ggufrun.ui import assets


def test_no_two_scripts_give_the_window_the_same_name() -> None:
    """One would take the place of the other's, and only a click would show it."""
    names = [each.name for each in files(assets).iterdir() if each.name.endswith((".js", ".html"))]
    given = [(name, found) for name in names for found in {*re.findall(r"window\.(ggufrun\w+) =", assets.text(name))}]
    shared = sorted(found for _, found in given)
    assert shared and len(set(shared)) == len(shared), sorted(given, key=lambda each: each[1])
