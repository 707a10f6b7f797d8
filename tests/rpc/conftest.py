"""The RPC add-on of this llama.cpp: made once, and then kept where a user's lies, beside the wheels compiled here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ggufrun.errors import EngineError, OptionError
from tests.rpc.lent import LentMachine


@pytest.fixture(scope="session")
def addon() -> Path | None:
    """None: this build has RPC of its own."""
    from ggufrun.rpc.building import build

    try:
        return build().path
    except OptionError as error:
        pytest.skip(f"no RPC here: {error}")
    except EngineError as error:
        if "could not be fetched" not in error.message:
            raise
        pytest.skip(f"no RPC here: {error}")


@pytest.fixture
def lent(addon: Path | None) -> Iterator[LentMachine]:
    with LentMachine() as machine:
        yield machine
