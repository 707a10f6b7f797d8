"""[remotes.NAME], --remote and keys: what is taken, and what is refused without showing a secret"""

import sys
from pathlib import Path
from types import ModuleType

import pytest

from ggufrun.chat.types import Price
from ggufrun.errors import OptionError
from ggufrun.remote.keys import Key, key_of
from ggufrun.remote.settings import HOSTED, RemoteSettings
from ggufrun.remote.table import with_flags
from ggufrun.remote_errors import RemoteUnusable
from ggufrun.userconfig import load_user_settings

WHOLE = """
[remotes.fast]
url = "http://gpu:8000"
model = "m"
key_env = "FAST_KEY"
kind = "openai"
timeout = 30
context = 4096
charges = { prompt = 0.5, completion = 1.5 }

[remotes.gpu-1.lan]
url = "http://gpu-1.lan/v1"

[remotes.hosted]
kind = "mistral"
model = "mistral-medium-3.5"
"""


def written(tmp_path: Path, text: str) -> dict[str, RemoteSettings]:
    path = tmp_path / "ggufrun.toml"
    path.write_text(text, "utf-8")
    return dict(load_user_settings(path).remotes)


def test_tables(tmp_path: Path) -> None:
    found = written(tmp_path, WHOLE)
    assert found["fast"] == RemoteSettings(
        "fast", "http://gpu:8000", "m", "FAST_KEY", "openai", 30.0, 4096, Price(0.5, 1.5)
    )
    assert found["gpu-1.lan"].url == "http://gpu-1.lan/v1"
    assert (found["hosted"].url, found["hosted"].key_env) == (HOSTED, "MISTRAL_API_KEY")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("remotes = 1", "'remotes' is not a table"),
        ("[remotes]\nfast = 1", "'remotes.fast' is not a table"),
        ('[remotes.fast]\nurl = "http://a"\nmodle = "x"', "unknown key 'modle', did you mean 'model'?"),
        ('[remotes.fast]\nurl = "http://a"\nkind = "vllm"', "'kind' should be 'openai' or 'mistral', and it is 'vllm'"),
        ('[remotes.fast]\nurl = "http://a"\ntimeout = 0', "'timeout' should be greater than 0"),
        ('[remotes.fast]\nurl = "http://a"\ncharges = { prompt = 1 }', "'charges.completion' is missing"),
        ('[remotes.fast]\nurl = "http://a"\ncharges = { prompt = 1, complete = 1 }', "unknown key|is missing"),
        ('[remotes.fast]\nmodel = "m"', "there is no url"),
        ('[remotes.fast]\nurl = "gpu:8000"', "no http:// or https:// address"),
        ('[remotes.fast]\nurl = "http://me:s3cr3t@gpu"', "a user or a password in it"),
        ('[remotes.fast]\nurl = "http://gpu/v1?key=s3cr3t"', "something behind its path"),
        ('[remotes.fast]\nurl = "http://a"\nkey_env = "s3cr3tKEY"', "key_env is no name of a variable"),
        ('[remotes.fast]\nurl = "http://a"\nkey_env = ["s3cr3t"]', "'key_env' should be a valid string"),
        ('[remotes.fast]\nurl = "http://a"\nkey = "s3cr3t"', "unknown key 'key'"),
        ('[remotes."a b"]\nurl = "http://a"', "cannot be called 'a b'"),
    ],
)
def test_wrong_tables(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(OptionError, match=words.replace("?", r"\?")) as caught:
        written(tmp_path, text)
    assert "ggufrun.toml" in str(caught.value) and "s3cr3t" not in str(caught.value)


def test_the_flag_wins_over_the_table_of_its_name(tmp_path: Path) -> None:
    found = with_flags(written(tmp_path, WHOLE), ["fast=http://other:1/v1", "new=https://x"])
    assert (found["fast"].url, found["fast"].model, found["fast"].timeout_s) == ("http://other:1/v1", "m", 30.0)
    assert found["new"] == RemoteSettings("new", "https://x") and "hosted" in found


@pytest.mark.parametrize("flags", [["fast"], ["=http://x"], ["fast="], ["a=http://x", "a=http://y"], ["a=x"]])
def test_wrong_flags(flags: list[str]) -> None:
    with pytest.raises(OptionError):
        with_flags({}, flags)


@pytest.mark.parametrize(
    ("url", "base", "root", "loopback"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1", "http://127.0.0.1:8000", True),
        ("http://localhost:8000/v1/", "http://localhost:8000/v1", "http://localhost:8000", True),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1", "http://[::1]:8000", True),
        ("http://localhost.:8000", "http://localhost.:8000/v1", "http://localhost.:8000", True),
        ("http://[::ffff:127.0.0.1]:1", "http://[::ffff:127.0.0.1]:1/v1", "http://[::ffff:127.0.0.1]:1", True),
        ("http://localhost.example", "http://localhost.example/v1", "http://localhost.example", False),
        ("https://host/proxy", "https://host/proxy/v1", "https://host/proxy", False),
        ("https://host/api/v3", "https://host/api/v3", "https://host/api", False),
        ("https://10.0.0.1", "https://10.0.0.1/v1", "https://10.0.0.1", False),
    ],
)
def test_addresses(url: str, base: str, root: str, loopback: bool) -> None:
    settings = RemoteSettings("fast", url)
    assert (settings.base, settings.root, settings.loopback) == (base, root, loopback)
    assert "://" not in repr(settings)


def test_keys() -> None:
    settings = RemoteSettings("fast", "http://a", key_env="A_KEY")
    key = key_of(settings, {"A_KEY": " s3cr3t-key\n"})
    assert key.headers() == {"Authorization": "Bearer s3cr3t-key"}
    assert "s3cr3t" not in f"{key!r} {key} {key.hide('your key s3cr3t-key is wrong')}"
    assert not key_of(RemoteSettings("fast", "http://a"), {}) and Key().headers() == {}


@pytest.mark.parametrize("value", ["two words", "line\nline", "schlüssel-s3cr3t", "", "  "])
def test_what_cannot_be_a_key(value: str) -> None:
    with pytest.raises(RemoteUnusable, match="A_KEY") as caught:
        key_of(RemoteSettings("fast", "http://a", key_env="A_KEY"), {"A_KEY": value})
    assert "s3cr3t" not in str(caught.value) and "line" not in caught.value.message


def test_a_key_of_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a `keyring` of the test's own: the package is nobody's dependency here."""
    keyring = ModuleType("keyring")
    vars(keyring)["get_password"] = lambda service, name: f"{service}-{name}-key"
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    settings = RemoteSettings("fast", "http://a", key_env="A_KEY")
    assert key_of(settings, {}).headers() == {"Authorization": "Bearer ggufrun-A_KEY-key"}
    assert key_of(settings, {"A_KEY": "other"}).headers() == {"Authorization": "Bearer other"}
