"""The README's examples, run as they stand there against a server with a tiny model under the real one's name."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.served import Served, served
from tests.clients.node import run_node

README = Path(__file__).parent.parent / "README.md"
ADDRESS = "http://127.0.0.1:8080"
RUNNABLE = ("bash", "python", "javascript")


def blocks() -> list[tuple[str, str]]:
    """Language and text of each fenced block that can be run."""
    found = re.findall(r"^```(\w+)\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [(language, text) for language, text in found if language in RUNNABLE]


@pytest.fixture(scope="module")
def server(tiny_model: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    (home / "models").mkdir()
    (home / "models" / "Mistral-Medium-3.5-128B-tiny.gguf").symlink_to(tiny_model("mistral3-v15"))
    with served("mistral-medium-3.5", home, "--context", "2048") as running:
        yield running


def write_tekken(path: Path) -> None:
    """The tokenizer file that comes with such a model: Mistral's vocabulary and the special tokens of v15."""
    from tests.tiny_models import mistral_data, special_tokens

    data = json.loads(mistral_data("tekken_240911.json").read_bytes())
    data["config"]["version"] = "v15"
    names = special_tokens(15)
    data["special_tokens"] = [{"rank": rank, "token_str": name, "is_control": True} for rank, name in enumerate(names)]
    default = {"values": ["none", "high"], "default": "none", "type": "enum"}
    data["model_settings_builder"] = {"reasoning_effort": default}
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(("language", "text"), blocks(), ids=lambda value: re.sub(r"\W+", "-", value)[:60])
def test_the_examples_run(server: Served, tmp_path: Path, language: str, text: str) -> None:
    text = text.replace(ADDRESS, str(server.client.base_url).rstrip("/"))
    if language == "javascript":
        assert run_node(text).strip()
        return
    if "tekken.json" in text:
        write_tekken(tmp_path / "tekken.json")
    command = ["bash", "-euo", "pipefail", "-c", text] if language == "bash" else [sys.executable, "-c", text]
    environment = os.environ | {"MISTRAL_API_KEY": "local", "GGUFRUN_HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() or "assert" in text
    assert '"object":"error"' not in done.stdout.replace(" ", "")


def test_there_are_examples_for_all_that_the_guide_shows() -> None:
    texts = "\n".join(text for _, text in blocks())
    for shown in (
        "curl http", "from mistralai", "from openai", '"@mistralai/mistralai"', 'from "openai"', "chat.stream",
        "tool_call_id", "response_format", "fim.complete", "from_file", "RetryConfig",
    ):  # fmt: skip
        assert shown in texts, shown
