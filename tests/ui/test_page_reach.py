"""`ggufrun page` for others than this machine: what is refused, and how it is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.served import served
from tests.program import at_home, run_ggufrun
from tests.ui.alone import program
from tests.ui.keyed import log_in, make_key

pytestmark = pytest.mark.process


def test_behind_a_proxy_all_have_to_log_in(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    reach = ("--allowed-host", "ai.example.org", "--root-path", "/llm", "--no-open")
    environment = at_home(tmp_path / "page")
    with served(tiny_model("llama-tiny"), tmp_path / "server") as server:
        api = ("page", "--api", str(server.client.base_url).rstrip("/"), *reach)
        refused = run_ggufrun(*api, environment=environment)
        assert refused.returncode == 2 and "A proxy may let others in" in refused.stderr
        key = make_key(tmp_path / "server", "anna")
        with program(tmp_path / "page", *api, GGUFRUN_API_KEY=key) as page:
            page.client.headers["Host"] = "ai.example.org"
            assert page.client.get("/llm/").status_code == 401  # its user's key is not everybody's
            reply = log_in(page.client, key)
            assert (reply.status_code, reply.headers["location"]) == (303, "/llm/")
            assert run_ggufrun("keys", "clear", environment=at_home(tmp_path / "server")).returncode == 0


def test_what_cannot_be_meant(tmp_path: Path) -> None:
    environment = at_home(tmp_path)
    for arguments, told in (
        (("page", "--tls-cert", "x.pem"), "Add --tls-key FILE."),
        (("page", "--root-path", "llm/"), "--root-path cannot be"),
        (("serve", "--open", "--no-ui"), "--no-ui leaves it out"),
    ):
        refused = run_ggufrun(*arguments, environment=environment)
        assert refused.returncode == 2 and told in refused.stderr and refused.stderr.count("\n") == 1, refused.stderr
