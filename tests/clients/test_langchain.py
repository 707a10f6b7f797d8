"""LangChain's client for Mistral and its makers' standard tests, over a real server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.served import Served
from tests.clients.conftest import MODEL

pytestmark = pytest.mark.model
SUITE = Path(__file__).parent / "langchain_suite.py"
# They bring plugins, markers and options that this project's own settings keep out.
PYTEST = [
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "-rfE",
    "-o",
    "addopts=",
    "-p",
    "no:cacheprovider",
    "--benchmark-disable",
]


def test_langchains_standard_tests(tiny_server: Served) -> None:
    address = str(tiny_server.client.base_url).rstrip("/")
    names = {"ADDRESS": address, "MODEL": MODEL, "ALIAS": "mistral-medium-latest", "MISTRAL_API_KEY": "local"}
    folder = Path(__file__).parent.parent.parent
    command = [*PYTEST, str(SUITE)]
    done = subprocess.run(command, cwd=folder, env=os.environ | names, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout[-6000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed and int(passed[1]) >= 40, done.stdout[-500:]


def test_thinking_and_usage_in_langchain(tiny_server: Served) -> None:
    from langchain_mistralai import ChatMistralAI  # takes a second

    address = str(tiny_server.client.base_url).rstrip("/")
    model = ChatMistralAI(model=MODEL, base_url=f"{address}/v1", max_tokens=8, temperature=0)  # type: ignore[call-arg]
    whole = model.invoke("Hello!")
    total = None
    for chunk in model.stream("Hello!"):
        total = chunk if total is None else total + chunk
    assert total is not None and total.content == whole.content
    assert total.usage_metadata == whole.usage_metadata and whole.usage_metadata is not None
    assert whole.usage_metadata["output_tokens"] == 8
