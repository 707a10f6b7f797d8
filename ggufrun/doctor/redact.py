"""Takes out of a report what nobody should paste into a bug tracker: secrets, home folders, user and host names."""

import getpass
import os
import platform
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

SECRET, USER, HOST, HOME = "<secret>", "<user>", "<host>", "~"

_PASSWORD: Final = r"secret|passw|passphrase|(?:^|_|db)pass(?:$|_)|_pwd"  # of a variable's name
_PASSWORD_NAMES: Final = re.compile(_PASSWORD, re.IGNORECASE)
_SECRET_NAMES: Final = re.compile(rf"{_PASSWORD}|token|key|credential|auth", re.IGNORECASE)
_PATH_NAMES: Final = re.compile(r"(?:file|path|dir|home|sock|socket|askpass)$", re.IGNORECASE)
_SHORTEST: Final = 6  # characters of a variable's value that counts as a secret; shorter ones are words
# By their makers' prefixes, our own keys among them; what follows "Bearer"; and what stands before the @ of an URL.
_SECRETS: Final = (
    (re.compile(r"\b(?:hf_|api_org_|sk-|gr-|ghp_|github_pat_|glpat-|xox[bp]-)[A-Za-z0-9_-]{8,}"), SECRET),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {SECRET}"),
    (re.compile(r"(://)[^/\s@]+@"), rf"\1{SECRET}@"),
    (re.compile(r"(?i)([?&](?:token|key|signature|sig|x-amz-[a-z-]+|policy|key-pair-id)=)[^&\s]+"), rf"\1{SECRET}"),
)
_WORD: Final = r"[^\\/\s:;,'\"]+"
# Anybody's. A name may have spaces: what comes after one belongs to it where the path goes on, or in capitals.
_HOMES: Final = re.compile(
    rf"(?:/home|/Users|[A-Za-z]:[\\/]+Users)[\\/]+{_WORD}(?:(?: {_WORD}){{1,3}}(?=[\\/])|(?: [A-Z][\w.-]*){{1,3}})?"
)
# Names that tell nothing about anybody, and are words of their own in a report.
_COMMON: Final = {"root", "user", "admin", "administrator", "ubuntu", "runner", "localhost", "home", "main", "linux"}


class Redactor:
    """Replaces in texts; made once, from what this process knows about its user."""

    def __init__(
        self, homes: Iterable[str], users: Iterable[str], hosts: Iterable[str], secrets: Iterable[str]
    ) -> None:
        self._plain = [(value, SECRET) for value in _longest_first(secrets)]
        self._plain += [(value, HOME) for value in _longest_first(homes) if len(value) > 1]
        self._words = [(_word(name), HOST) for name in _longest_first(hosts) if _tells(name)]
        self._words += [(_word(name), USER) for name in _longest_first(users) if _tells(name)]

    @classmethod
    def here(cls, environ: Mapping[str, str]) -> "Redactor":
        """For this user on this machine, by the environment that is given."""
        homes = {environ.get("HOME", ""), environ.get("USERPROFILE", ""), os.path.expanduser("~")}
        homes |= {os.path.realpath(home) for home in homes if home}
        users = {environ.get(name, "") for name in ("USER", "LOGNAME", "USERNAME", "SUDO_USER")}
        users |= {_login_name(), *(Path(home).name for home in homes if home)}
        host = environ.get("HOSTNAME") or environ.get("COMPUTERNAME") or ""
        hosts = {host, platform.node(), platform.node().partition(".")[0]}
        secrets = (value for name, value in environ.items() if _SECRET_NAMES.search(name) and _is_secret(name, value))
        return cls(homes, users, hosts, secrets)

    def text(self, text: str) -> str:
        for value, stand_in in self._plain:
            text = text.replace(value, stand_in)
        text = _HOMES.sub(HOME, text)
        for pattern, stand_in in (*_SECRETS, *self._words):
            text = pattern.sub(stand_in, text)
        return text

    def value(self, value: Any) -> Any:
        """A JSON-like value with all its strings redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value


def _is_secret(name: str, value: str) -> bool:
    """Variables such as SSH_AUTH_SOCK, KEYBOARD or MAX_TOKENS hold paths, words and numbers."""
    if len(value) < _SHORTEST or _is_path(name, value):
        return False
    return bool(_PASSWORD_NAMES.search(name)) or not (value.isalpha() or value.isdecimal())


def _is_path(name: str, value: str) -> bool:
    """A password may begin as a path does; one that leads somewhere is one."""
    if not value.startswith(("/", "~", ".")):
        return False
    if _PATH_NAMES.search(name) or os.path.exists(os.path.expanduser(value)):
        return True
    return "/" in value[1:] and not _PASSWORD_NAMES.search(name)


def _tells(name: str) -> bool:
    return len(name) > 2 and name.lower() not in _COMMON


def _word(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", re.IGNORECASE)


def _longest_first(values: Iterable[str]) -> list[str]:
    return sorted({value.rstrip("/\\") for value in values if value.strip("/\\")}, key=len, reverse=True)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return ""
