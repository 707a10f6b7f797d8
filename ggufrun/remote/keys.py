"""The key that a remote wants: from the environment, else from the keyring. It is shown by nothing, whoever asks."""

import importlib
import os
from collections.abc import Mapping
from typing import Any, Final

from ggufrun.remote.settings import RemoteSettings
from ggufrun.remote_errors import RemoteUnusable

SERVICE: Final = "ggufrun"  # of the keyring's entries
_LEAST_HIDDEN: Final = 4  # characters: shorter keys keep no secret, and would cut words to pieces


class Key:
    """A secret, or "" where none is sent."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str = "") -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return "Key(…)" if self._secret else "Key()"

    def __bool__(self) -> bool:
        return bool(self._secret)

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._secret}"} if self._secret else {}

    def hide(self, words: str) -> str:
        """Without the key, which some servers repeat to who gave a wrong one."""
        return words.replace(self._secret, "…") if len(self._secret) >= _LEAST_HIDDEN else words


def key_of(settings: RemoteSettings, environ: Mapping[str, str] | None = None) -> Key:
    """Raises RemoteUnusable where there is none, or one that no header can carry."""
    variable = settings.key_env
    if not variable:
        return Key()
    secret = ((os.environ if environ is None else environ).get(variable) or _of_keyring(variable)).strip()
    if not secret:
        hint = f"Set {variable}, or keep it in the keyring: keyring set {SERVICE} {variable}."
        raise RemoteUnusable(settings.name, f"neither the environment nor the keyring has {variable}.", hint)
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        hint = "A key is one line of printable ASCII, without spaces."
        raise RemoteUnusable(settings.name, f"what {variable} holds cannot be a key.", hint)
    return Key(secret)


def _of_keyring(variable: str) -> str:
    """Nothing where `keyring` is not installed, where there is no keyring, or where it has no such entry."""
    try:
        keyring: Any = importlib.import_module("keyring")
        return str(keyring.get_password(SERVICE, variable) or "")
    except ImportError:
        return ""
    except Exception:  # the backends are other people's: locked, without a desktop, or broken, there is no key
        return ""
