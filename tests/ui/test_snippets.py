"""The API tab's programs run as they are, against a real server."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ggufrun.ui.snippets.code import PROGRAMS, curl, mistralai, node_mistral, node_openai, openai
from ggufrun.ui.snippets.request import EXAMPLE, request_of
from tests.api.served import Served, served
from tests.clients.node import run_node

SCHEMA = {
    "type": "object",
    "properties": {"río": {"type": "integer", "enum": [7]}},
    "required": ["río"],
    "additionalProperties": False,
}
SETTINGS: dict[str, Any] = {
    "system": 'Don\'t say "no" to $HOME;\n</script>',
    "sampling": {"temperature": 0, "max_tokens": 20, "seed": 3, "top_k": 5, "min_p": 0.1, "stop": ["\n\n\n"]},
    "schema": SCHEMA,
}
ANSWER = '{"río": 7}'


@pytest.fixture(scope="module")
def server(demo_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served("demo", tmp_path_factory.mktemp("home")) as opened:
        yield opened


@pytest.fixture
def url(server: Served) -> str:
    return str(server.client.base_url).rstrip("/")


def run(*command: str, text: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "GGUFRUN_API_KEY"}
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_request_has_what_was_set_and_no_more() -> None:
    assert request_of("m", {}) == {"model": "m", "messages": [{"role": "user", "content": EXAMPLE}]}
    body = request_of("m", SETTINGS | {"tools": [{"type": "function"}]})
    assert body["messages"][0] == {"role": "system", "content": SETTINGS["system"]}
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert (body["top_k"], body["tools"]) == (5, [{"type": "function"}])


@pytest.mark.parametrize("program", [mistralai, openai])
def test_python(url: str, program: Any) -> None:
    assert run(sys.executable, "-", text=program(url, request_of("demo", SETTINGS))).strip() == ANSWER


def test_curl(url: str) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    assert '"content":"{\\"río\\": 7}"' in run("bash", text=curl(url, request_of("demo", SETTINGS)))


@pytest.mark.parametrize("program", [node_mistral, node_openai])
def test_node(url: str, program: Any) -> None:
    assert run_node(program(url, request_of("demo", SETTINGS))).strip() == ANSWER


def test_what_a_client_cannot_say_is_named() -> None:
    body = request_of("m", {"sampling": {"min_p": 0.1}})
    for name, (_, write) in PROGRAMS.items():
        assert "min_p" in write("http://here", body), name
    assert "# mistralai has no parameter for: min_p" in mistralai("http://here", body)
    compile(mistralai("http://here", body), "snippet", "exec")
