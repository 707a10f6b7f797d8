"""Mistral's and OpenAI's SDKs for Node.js on a real server: `scripts/*_served.mjs`."""

from pathlib import Path

import pytest

from tests.api.served import Served
from tests.clients.conftest import MODEL
from tests.clients.node import run_node

pytestmark = pytest.mark.model
SCRIPTS = Path(__file__).parent / "scripts"


@pytest.mark.parametrize("sdk", ["mistral", "openai"])
def test_served(tiny_server: Served, sdk: str) -> None:
    script = (SCRIPTS / f"{sdk}_served.mjs").read_text()
    assert run_node(script, ADDRESS=str(tiny_server.client.base_url).rstrip("/"), MODEL=MODEL) == "fine\n"
