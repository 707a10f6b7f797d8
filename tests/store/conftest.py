"""The stores of a user who has nothing yet."""

from pathlib import Path

import pytest

from ggufrun.weights.cards import load_cards
from ggufrun.weights.folders import model_folders
from tests.store.stores import Stores


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """With the shipped cards."""
    return Stores(tmp_path, load_cards(model_folders(tmp_path / "none")))
