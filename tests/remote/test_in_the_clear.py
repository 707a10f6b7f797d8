"""Keys over http://: said once at the start for each kind of network, and not where nobody can listen"""

from pathlib import Path

import pytest

from ggufrun.commandline.opening import opened as opened_by_name
from ggufrun.commandline.remotes import remote_offers
from ggufrun.remote.in_the_clear import warnings
from ggufrun.remote.settings import RemoteSettings
from ggufrun.settings import EngineOverrides, ModelOverrides
from tests.remote.raw_server import raw_server

_KEY = "FAST_KEY"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://llm.example.com/v1", "cross the internet"),
        ("HTTP://8.8.8.8:8000", "cross the internet"),
        ("http://[2606:4700::1111]:8000", "cross the internet"),
        ("http://[::ffff:8.8.8.8]:8000", "cross the internet"),
        ("http://10.0.0.5:8000/v1", "cross your network"),
        ("http://192.168.1.20", "cross your network"),
        ("http://100.100.1.2", "cross your network"),  # of carriers, and of VPNs such as Tailscale
        ("http://[fd00::1]:8000", "cross your network"),
        ("http://gpu:8000", "cross your network"),
        ("http://gpu.lan.:8000", "cross your network"),
    ],
)
def test_whose_network_it_is(url: str, words: str) -> None:
    (line,) = warnings([RemoteSettings("fast", url, key_env=_KEY)])
    assert line.startswith("warning: the key of remote fast") and words in line
    assert "https://" in line and "SSH" in line and "WireGuard" in line and "docs/scale.md" in line
    assert url not in line and _KEY not in line and "\n" not in line


@pytest.mark.parametrize(
    "remote",
    [
        RemoteSettings("fast", "http://127.0.0.1:8000", key_env=_KEY),
        RemoteSettings("fast", "http://localhost:8000/v1", key_env=_KEY),
        RemoteSettings("fast", "http://[::1]:8000", key_env=_KEY),
        RemoteSettings("fast", "http://10.0.0.5:8000"),
        RemoteSettings("fast", "https://llm.example.com", key_env=_KEY),
        RemoteSettings("hosted", kind="mistral"),
    ],
)
def test_nobody_can_listen_or_there_is_no_key(remote: RemoteSettings) -> None:
    assert warnings([remote]) == []


def test_several_share_a_line() -> None:
    urls = {"a": "http://10.0.0.1", "b": "http://10.0.0.2", "c": "http://8.8.8.8", "d": "http://127.0.0.1"}
    public, private = warnings(RemoteSettings(name, url, key_env=_KEY) for name, url in urls.items())
    assert "the key of remote c and" in public and "the keys of remotes a, b and" in private


async def test_it_is_said_once_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The remote is behind a proxy of this machine, which is asked in the clear."""
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path))
    monkeypatch.setenv(_KEY, "s3cr3t-key")
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    table = f'[remotes.fast]\nurl = "http://gpu.example"\nkey_env = "{_KEY}"\n'
    (tmp_path / "ggufrun.toml").write_text(table, "utf-8")
    async with raw_server() as raw:
        monkeypatch.setenv("http_proxy", raw.url.removesuffix("/v1"))
        remotes = {"fast": RemoteSettings("fast", "http://gpu.example", key_env=_KEY)}
        assert [offer.info.name for offer in await remote_offers(remotes, [])] == ["fast"]
        served = capsys.readouterr().err
        async with opened_by_name("fast", ModelOverrides(), EngineOverrides(), None):
            ran = capsys.readouterr().err
    for told in (served, ran):
        (line,) = told.splitlines()
        assert line.startswith("ggufrun: warning: the key of remote fast") and "s3cr3t" not in line
