"""The wheel of bfcl-eval, fetched once and then kept with what else the tests keep"""

from pathlib import Path

import pytest

from ggufrun.compare.tasks.bfcl_wheel import wheel
from ggufrun.errors import OptionError
from tests.conftest import CACHE

BFCL = CACHE / "bfcl"


@pytest.fixture(scope="session")
def bfcl_wheel() -> Path:
    try:
        return wheel(BFCL)
    except OptionError as error:
        pytest.skip(f"{error} Then run: make test ARGS=tests/compare/tasks")
