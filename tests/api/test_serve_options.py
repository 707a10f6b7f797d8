"""`ggufrun serve` and `ggufrun keys` as a user runs them: what is refused, TLS, and that no secret is written down."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ggufrun.api.listener import Listener, Tls
from ggufrun.cli import main
from ggufrun.errors import OptionError
from ggufrun.records.keys import KeyStore
from tests.api.served import served


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GGUFRUN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of localhost, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    return make_certificate(folder / "cert.pem", folder / "key.pem")


def make_certificate(certificate: Path, key: Path, *more: str) -> tuple[Path, Path]:
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "1"),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        *("-keyout", str(key), "-out", str(certificate), *(more or ("-nodes",))),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return certificate, key


BAD = {
    "serve m --host 0.0.0.0 --port 0": "ggufrun keys add NAME",
    "serve m --host :: --port 0": "ggufrun keys add NAME",
    "serve m --host 203.0.113.7": "Choose another --host or --port",
    "serve m --host no.such.host.invalid": "Choose another --host or --port",
    "serve m --tls-cert c.pem": "--tls-key is missing",
    "serve m --tls-key k.pem": "--tls-cert is missing",
    "serve m --tls-cert c.pem --tls-key k.pem": "--tls-cert c.pem: No such file",
    "serve m --cors example.org": "--cors cannot be 'example.org'",
    "serve m --cors https://example.org/": "Write it as browsers do",
    "serve m --allowed-host https://a.example": "without scheme and port",
    "serve m --allow-image-host https://a.example": "without scheme and port",
    "serve m --no-image-urls --allow-image-host a": "Leave out one of the two",
    "serve m --root-path llm": "--root-path cannot be 'llm'",
    "serve m --root-path /llm/": "with no / at its end",
    "serve m --max-body 0": "--max-body",
    "serve m --max-queue -1": "--max-queue",
    "keys add": "NAME",
    "keys add a/b": "A key cannot be called 'a/b'",
    "keys add a --scope root": "--scope",
    "keys add a --tokens-per-day 0": "--tokens-per-day cannot be 0",
    "keys add a --models a,,b": "--models has an empty name",
    "keys revoke nobody": "There is no key called 'nobody'",
    "keys nonsense": "No such command",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_options_are_one_line(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("ggufrun: ") and err.count("\n") == 1
    assert BAD[line] in err


def test_a_port_that_is_taken_is_refused_before_anything_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "m", "--port", str(taken.getsockname()[1])]) == 2
    assert "in use" in capsys.readouterr().err


def test_revoked_keys_do_not_let_a_server_be_reached(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(KeyStore(home / "ggufrun.db")) as store:
        store.add("a")
        assert main(["serve", "no-such-model", "--host", "0.0.0.0", "--port", "0"]) == 2
        assert "No model is called" in capsys.readouterr().err
        store.revoke("a")
    assert main(["serve", "no-such-model", "--host", "0.0.0.0", "--port", "0"]) == 2
    assert "no API key" in capsys.readouterr().err


def test_what_is_no_certificate_and_its_key_is_refused(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    good, key = certificate
    text = tmp_path / "text.pem"
    text.write_text("hello")
    _, other = make_certificate(tmp_path / "c2.pem", tmp_path / "k2.pem")
    _, locked = make_certificate(tmp_path / "c3.pem", tmp_path / "k3.pem", "-passout", "pass:x")
    Tls(good, key)
    for pair, said in (
        ((good, text), "not a certificate and its key"),
        ((text, key), "not a certificate and its key"),
        ((good, other), "KEY_VALUES_MISMATCH"),
        ((good, locked), "without a password"),
        ((tmp_path, key), "Is a directory"),
    ):
        with pytest.raises(OptionError, match=said):
            Tls(*pair)


@pytest.mark.parametrize(
    ("host", "loopback", "url"),
    [("127.0.0.1", True, "http://127.0.0.1:"), ("localhost", True, "http://localhost:"), ("127.0.0.2", True, "http://127"),
     ("::1", True, "http://[::1]:"), ("0.0.0.0", False, "http://0.0.0.0:"), ("::", False, "http://[::]:")],
)  # fmt: skip
def test_which_addresses_others_can_reach(host: str, loopback: bool, url: str) -> None:
    with closing(Listener(host, 0)) as listener:
        assert listener.loopback == loopback and listener.url.startswith(url)


def test_keys_are_made_listed_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    def ggufrun(*arguments: str) -> tuple[str, str]:
        assert main(["keys", *arguments]) == 0
        out, err = capsys.readouterr()
        return out, err

    assert "There are no keys" in ggufrun("list")[1]
    secret, said = ggufrun("add", "ci", "--scope", "admin", "--tokens-per-day", "1000", "--models", "demo, other")
    assert secret.startswith("gr-") and len(secret) == 47 and "this once" in said and secret.strip() not in said
    ggufrun("add", "b")
    table = ggufrun("list")[0]
    assert table.splitlines()[0].split() == ["NAME", "SCOPE", "TOKENS", "A", "DAY", "MODELS", "MADE"]
    assert "admin  1000" in table and "demo, other" in table and secret.strip() not in table
    first, second = json.loads(ggufrun("list", "--json")[0])
    assert first["name"] == "ci" and first["models"] == ["demo", "other"] and first["tokens_per_day"] == 1000
    assert second["scope"] == "chat" and second["tokens_per_day"] is None and set(second) == set(first)
    assert main(["keys", "add", "b"]) == 2 and "Choose another name" in capsys.readouterr().err
    assert "last" not in ggufrun("revoke", "ci")[1]
    assert "requests are refused" in ggufrun("revoke", "b")[1]
    assert "All keys are revoked" in ggufrun("list")[1] and ggufrun("list", "--json")[0] == "[]\n"
    ggufrun("clear")
    assert "There are no keys" in ggufrun("list")[1]


def test_the_commands_do_not_load_the_engine(home: Path) -> None:
    code = "import sys; from ggufrun.cli import main; main(['keys', 'add', 'a']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, env=dict(os.environ)
    )
    assert done.stdout.startswith("gr-")
    assert not {"fastapi", "numpy", "llama_cpp", "uvicorn"} & set(done.stderr.split())


def test_a_server_over_tls_writes_no_secret_down(
    tmp_path: Path, home: Path, certificate: tuple[Path, Path], tiny_model: Callable[[str], Path]
) -> None:
    """And its log has each request, and it ends as it should on SIGTERM."""
    with closing(KeyStore(home / "ggufrun.db")) as store:
        secret = store.add("ci")
    trust = ssl.create_default_context(cafile=str(certificate[0]))
    tls = ("--tls-cert", str(certificate[0]), "--tls-key", str(certificate[1]))
    with served(tiny_model("llama-tiny"), home, *tls, "--host", "0.0.0.0", "--context", "512", verify=trust) as server:
        server.client.base_url = str(server.client.base_url).replace("0.0.0.0", "127.0.0.1")
        assert str(server.client.base_url).startswith("https://")
        assert server.chat("swordfish", max_tokens=4).status_code == 401
        server.client.headers["Authorization"] = f"Bearer {secret}"
        reply = server.chat("swordfish", max_tokens=4)
        assert reply.status_code == 200, reply.text
    assert server.process.returncode == 0
    log = "".join(server.log)
    said = next(line for line in server.log if reply.headers["x-request-id"] in line and "ggufrun.access" in line)
    assert "POST /v1/chat/completions 200 " in said and "key=ci model=" in said
    assert " 401 " in log
    written = log.encode() + b"".join(file.read_bytes() for file in home.rglob("*") if file.is_file())
    assert not [hidden for hidden in (secret, secret[3:], "swordfish") if hidden.encode() in written]
