"""What must not be in a report: secrets, home folders, names of users and hosts."""

import pytest

from ggufrun.doctor.redact import Redactor

ENVIRONMENT = {
    "HOME": "/data/people/annabel",
    "USER": "annabel",
    "HOSTNAME": "annabels-desk",
    "HF_TOKEN": "hf_QwErTzUiOpAsDfGhJk",
    "SOME_API_KEY": "0123-abcdef",
    "SSH_AUTH_SOCK": "/tmp/socket",
    "SSH_ASKPASS": "/usr/lib/askpass",
    "SOME_KEY_DIR": "/etc/keys",
    "MAX_TOKENS": "131072",
    "MY_PASS": "x1y2z3q4",
    "DBPASS": "90817263",
    "PASSPHRASE": "/slash1234secret",
    "AWS_SECRET_ACCESS_KEY": "/ab+cd/ef0123",
    "BYPASS": "always",
    "PWD": "/data/work",
    "PATH": "/usr/bin:/bin",
}
REDACTOR = Redactor.here(ENVIRONMENT)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("/data/people/annabel/models/a.gguf", "~/models/a.gguf"),
        ("/home/annabel/a.gguf", "~/a.gguf"),
        ("/home/somebody-else/a.gguf", "~/a.gguf"),
        ("C:\\Users\\Annabel\\a.gguf", "~\\a.gguf"),
        ("/Users/bob/Library/a.gguf", "~/Library/a.gguf"),
        ("/srv/annabel-models/a.gguf", "/srv/<user>-models/a.gguf"),
        ("annabel on annabels-desk", "<user> on <host>"),
        ("token hf_QwErTzUiOpAsDfGhJk", "token <secret>"),
        ("another one, hf_0123456789abcdef", "another one, <secret>"),
        ("key 0123-abcdef", "key <secret>"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer <secret>"),
        ("https://bob:pass@proxy.example:8080/", "https://<secret>@proxy.example:8080/"),
        ("https://cdn.example/f?X-Amz-Signature=12ab&n=1", "https://cdn.example/f?X-Amz-Signature=<secret>&n=1"),
        ("sk-abcdefghijklmnop and gr-abcdefghijklmnop", "<secret> and <secret>"),
        ("annabella is a model, /usr/bin too", "annabella is a model, /usr/bin too"),
        ("SSH: /tmp/socket", "SSH: /tmp/socket"),
        ("it runs /usr/lib/askpass, reads /etc/keys", "it runs /usr/lib/askpass, reads /etc/keys"),
        ("131072 tokens, always, in /data/work", "131072 tokens, always, in /data/work"),
        ("x1y2z3q4 and 90817263", "<secret> and <secret>"),
        ("/slash1234secret and /ab+cd/ef0123", "<secret> and <secret>"),
        ("/home/alice bob/m", "~/m"),
        ("/home/alice and /home/bob/m", "~ and ~/m"),
        ("/home/alice is full", "~ is full"),
        ("C:\\Users\\Jane Doe", "~"),
        ("'C:\\Users\\Jane Doe\\a.gguf', 'C:\\Users\\Bob'", "'~\\a.gguf', '~'"),
    ],
)
def test_text(text: str, redacted: str) -> None:
    assert REDACTOR.text(text) == redacted


def test_values_keep_their_shape() -> None:
    value = {"file": "/data/people/annabel/a.gguf", "list": ["annabel", 3, None, True], "n": {"annabel": 1.5}}
    redacted = {"file": "~/a.gguf", "list": ["<user>", 3, None, True], "n": {"<user>": 1.5}}
    assert REDACTOR.value(value) == redacted


def test_common_names_are_left() -> None:
    """They tell nothing, and are words: "root" stands in many paths."""
    home = "/" + "root"
    redactor = Redactor([home], ["root"], ["localhost"], [])
    assert (
        redactor.text(f"{home}/a.gguf, the root of the tree, localhost") == "~/a.gguf, the root of the tree, localhost"
    )
