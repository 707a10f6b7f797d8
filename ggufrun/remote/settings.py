"""What is known of one remote before it is asked anything: where it is, what it speaks, which key it wants."""

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from ggufrun.chat.types import Price
from ggufrun.errors import OptionError

Kind = Literal["openai", "mistral"]

HOSTED: Final = "https://api.mistral.ai/v1"
HOSTED_KEY: Final = "MISTRAL_API_KEY"
TIMEOUT_S: Final = 120.0
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,99}")
# Capitals only, as such names are: what has others is a key that was written in the place of its name.
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,99}")
_VERSION: Final = re.compile(r"v\d+[a-z0-9]*")


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """One remote engine. Raises OptionError. No error and no repr has the address whole: it may be a secret, too."""

    name: str
    url: str = field(default="", repr=False)  # with /v1 or without; "" for the hosted API only
    model: str = ""  # what the remote calls it; "": the only one that it has
    key_env: str = ""  # the environment variable, or entry of the keyring, that has the key; "": none is sent
    kind: Kind = "openai"
    timeout_s: float = TIMEOUT_S  # without a byte
    context: int | None = None  # tokens; None: what the remote says
    charges: Price | None = None  # None: nothing
    retries: int = 2  # after the first try, before anything has come

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise OptionError(f"A remote cannot be called {self.name!r}.", "Use letters, digits and . _ : @ + -.")
        if self.kind == "mistral":
            object.__setattr__(self, "url", self.url or HOSTED)
            object.__setattr__(self, "key_env", self.key_env or HOSTED_KEY)
        if not self.url:
            raise OptionError(f"remote {self.name}: there is no url.", 'Write url = "http://HOST:PORT/v1".')
        if self.key_env and not _VARIABLE.fullmatch(self.key_env):
            hint = "key_env is the name of an environment variable, in capitals: the key itself stands there."
            raise OptionError(f"remote {self.name}: key_env is no name of a variable.", hint)
        _check(self.name, self.url)

    @property
    def base(self) -> str:
        """Of the OpenAI-like routes, as in http://host:8000/v1."""
        address = self.url.rstrip("/")
        last = urlsplit(address).path.rpartition("/")[2]
        return address if _VERSION.fullmatch(last) else f"{address}/v1"

    @property
    def root(self) -> str:
        """Of the engine's own routes, as in http://host:8000."""
        return self.base.rpartition("/")[0]

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine: no proxy stands before it, whatever the environment says."""
        address = self.address
        if address is None:
            return self.host == "localhost" or self.host.endswith(".localhost")
        return address.is_loopback or address.is_unspecified

    @property
    def host(self) -> str:
        return (urlsplit(self.url).hostname or "").rstrip(".")

    @property
    def address(self) -> IPv4Address | IPv6Address | None:
        """Of the host, where the url has it in numbers."""
        try:
            written = ip_address(self.host)
        except ValueError:
            return None
        return (written.ipv4_mapped or written) if isinstance(written, IPv6Address) else written


def _check(name: str, url: str) -> None:
    hint = "Write it as in http://127.0.0.1:8000/v1."
    try:
        parts = urlsplit(url)
        good = (
            url.isprintable()
            and " " not in url
            and parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
        )
    except ValueError:
        raise OptionError(f"remote {name}: the url is no address.", hint) from None
    if not good:
        raise OptionError(f"remote {name}: the url is no http:// or https:// address.", hint)
    _check_bare(name, parts)


def _check_bare(name: str, parts: SplitResult) -> None:
    """A key in the address would be shown wherever an address is."""
    if parts.username is not None or parts.password is not None:
        hint = "Put the key into an environment variable, and name that with key_env."
        raise OptionError(f"remote {name}: the url has a user or a password in it.", hint)
    if parts.query or parts.fragment:
        raise OptionError(f"remote {name}: the url has something behind its path.", "Leave out what follows ? or #.")
