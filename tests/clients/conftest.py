"""A real `ggufrun serve` with tiny models of random weights, one for all tests of the session that want it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.served import Served, served

MODEL = "mistral-medium-3.5"
SETTINGS = """[defaults]
max_tokens = 64  # random weights find no end
"""


@pytest.fixture(scope="session")
def tiny_server(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Mistral Medium 3.5 by its name, its card and its tokenizer, and nothing like it inside."""
    home = tmp_path_factory.mktemp("clients")
    (home / "models").mkdir()
    (home / "models" / "Mistral-Medium-3.5-128B-tiny.gguf").symlink_to(tiny_model("mistral3-v15"))
    (home / "ggufrun.toml").write_text(SETTINGS)
    with served(MODEL, home, "--context", "2048") as running:
        yield running
