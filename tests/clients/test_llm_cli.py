"""The `llm` command line, with its Mistral plugin and with an OpenAI-compatible model entry, over a real server."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.api.served import Served
from tests.clients.conftest import MODEL

pytestmark = pytest.mark.model

# The plugin has no setting for the address, so the SDK below it gets another one for "Mistral's servers".
PLUGIN = """
import os
from mistralai.client import sdkconfiguration
sdkconfiguration.SERVERS["global"] = os.environ["ADDRESS"]
from llm.cli import cli
cli()
"""
ENTRY = """- model_id: local
  model_name: {model}
  api_base: "{address}/v1"
  supports_tools: true
  supports_schema: true
"""
TOOL = "def upper(text: str) -> str:\n    '''Capital letters'''\n    return text.upper()\n"


class Llm:
    def __init__(self, server: Served, folder: Path) -> None:
        self.address = str(server.client.base_url).rstrip("/")
        self.folder = folder
        (folder / "extra-openai-models.yaml").write_text(ENTRY.format(model=MODEL, address=self.address))

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        names = {"LLM_USER_PATH": str(self.folder), "LLM_MISTRAL_KEY": "local", "ADDRESS": self.address}
        done = subprocess.run(
            [sys.executable, "-c", PLUGIN, *arguments], input=stdin, capture_output=True, text=True, timeout=60,
            env=os.environ | names,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def last(self) -> dict[str, Any]:
        """The log's newest entry."""
        entry: dict[str, Any] = json.loads(self("logs", "list", "--json", "-n", "1"))[0]
        return entry


@pytest.fixture(scope="module")
def llm(tiny_server: Served, tmp_path_factory: pytest.TempPathFactory) -> Llm:
    return Llm(tiny_server, tmp_path_factory.mktemp("llm"))


def test_the_plugin_finds_our_models(llm: Llm) -> None:
    llm("mistral", "refresh")
    assert f"mistral/{MODEL}" in llm("models", "list")


@pytest.mark.parametrize("model", [f"mistral/{MODEL}", "local"])
def test_prompts(llm: Llm, model: str) -> None:
    assert llm("-m", model, "Hello!", "-s", "Be brief.").strip()  # streamed
    assert llm("-m", model, "--no-stream", stdin="Hello again!").strip()
    assert llm("-m", model, "-c", "And again!").strip()  # the conversation so far goes along
    entry = llm.last()
    assert entry["input_tokens"] and entry["output_tokens"] == 64


@pytest.mark.parametrize("model", [f"mistral/{MODEL}", "local"])
def test_schemas(llm: Llm, model: str) -> None:
    answer = json.loads(llm("-m", model, "A dog", "--schema", "name, age int"))
    assert set(answer) == {"name", "age"} and isinstance(answer["age"], int)


@pytest.mark.parametrize("model", [f"mistral/{MODEL}", "local"])
def test_tools(llm: Llm, model: str) -> None:
    assert llm("-m", model, "Shout hello", "--functions", TOOL, "--chain-limit", "2") is not None
    assert [tool["name"] for tool in llm.last()["tools"]] == ["upper"]


@pytest.mark.parametrize("model", [f"mistral/{MODEL}", "local"])
def test_what_is_refused_is_told(llm: Llm, model: str) -> None:
    with pytest.raises(AssertionError, match=r"422.*top_p is 0\.0\. It must be above 0"):
        llm("-m", model, "Hello!", "-o", "top_p", "0")
