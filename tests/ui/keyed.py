"""A server with keys, for the tests of who may see its page."""

from pathlib import Path
from typing import Literal

import httpx

from tests.program import at_home, run_ggufrun


def make_key(home: Path, name: str, scope: Literal["chat", "admin"] = "chat") -> str:
    """By another program than the server: a running one knows at once."""
    done = run_ggufrun("keys", "add", name, "--scope", scope, environment=at_home(home))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def drop_key(home: Path, name: str) -> None:
    done = run_ggufrun("keys", "revoke", name, environment=at_home(home))
    assert done.returncode == 0, done.stderr


def log_in(client: httpx.Client, key: str, **headers: str) -> httpx.Response:
    return client.post("/login", data={"key": key}, headers=headers, follow_redirects=False)
