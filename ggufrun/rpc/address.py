"""Where an RPC worker is, or listens: HOST:PORT, checked. llama.cpp's RPC knows IPv4, and no keys or encryption."""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ggufrun.errors import OptionError

PORT: Final = 50052  # llama.cpp's own default
_FORM: Final = "Write it as HOST:PORT, as in 192.168.1.20:50052."
_TUNNEL: Final = "Use an SSH tunnel or WireGuard: docs/scale.md has the commands."
_OPEN: Final = "llama.cpp's RPC has no keys and no encryption"


@dataclass(frozen=True, slots=True)
class Address:
    """As it was written; a name is resolved when it is used."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def read(cls, text: str, option: str = "--rpc", *, least_port: int = 1) -> "Address":
        """Raises OptionError."""
        host, colon, port = text.strip().rpartition(":")
        if not colon:
            host, port = text.strip(), str(PORT)
        if ":" in host or host.startswith("["):
            raise OptionError(f"{option} cannot be {text!r}: llama.cpp's RPC knows IPv4 only.", _FORM)
        if not host or not port.isdecimal() or not least_port <= int(port) < 1 << 16:
            raise OptionError(f"{option} cannot be {text!r}.", _FORM)
        return cls(host, int(port))

    def resolved(self) -> str:
        """ "192.168.1.20:50052". Raises OptionError for a name that is unknown, and for a public address."""
        ip = self._ip()
        if ip.is_global:
            raise OptionError(f"{self} is a public address, and {_OPEN}.", _TUNNEL)
        return f"{ip}:{self.port}"

    def listening(self, *, network: bool = False) -> str:
        """The address to listen on. `network`: all of the machine's are allowed. Raises OptionError."""
        ip = self._ip()
        if ip.is_unspecified and not network:
            hint = f"Name an address of your private network, or add --allow-network. {_TUNNEL}"
            raise OptionError(f"--listen {self.host} would be open on every network, and {_OPEN}.", hint)
        return f"{ip}:{self.port}" if ip.is_unspecified else self.resolved()

    @property
    def is_loopback(self) -> bool:
        return self._ip().is_loopback

    def _ip(self) -> ipaddress.IPv4Address:
        try:
            return ipaddress.IPv4Address(self.host)
        except ValueError:
            pass
        try:
            found = socket.getaddrinfo(self.host, self.port, socket.AF_INET, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise OptionError(f"{self.host} has no IPv4 address that is known here.", _FORM) from error
        return ipaddress.IPv4Address(found[0][4][0])


def addresses(texts: Sequence[str], option: str = "--rpc") -> tuple[str, ...]:
    """Each entry may have several with commas. Raises OptionError."""
    read = [str(Address.read(part, option)) for text in texts for part in text.split(",")]
    for text in read:
        if read.count(text) > 1:
            raise OptionError(f"{option} names {text} twice.", "Name each worker once.")
    return tuple(read)
