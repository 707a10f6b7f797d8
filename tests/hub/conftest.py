"""A hub that misbehaves on demand, and a home for programs that ask it: nothing of this machine is touched."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.fake_hub import FakeHub
from tests.hub.home import Home


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as server:
        yield server


@pytest.fixture
def home(hub: FakeHub, tmp_path: Path) -> Home:
    return Home(tmp_path / "home", hub.endpoint)
