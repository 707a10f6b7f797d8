"""The address that a server listens on: taken before a model is loaded, so that a wrong one costs no time."""

import ipaddress
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from ggufrun.errors import OptionError


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate (with its chain) and its private key, both PEM. Raises OptionError where they are not."""

    certificate: Path
    key: Path

    def __post_init__(self) -> None:
        for option, path in (("--tls-cert", self.certificate), ("--tls-key", self.key)):
            try:
                path.read_bytes()
            except OSError as error:
                raise OptionError(f"{option} {path}: {error.strerror}.", "Give a PEM file.") from error
        try:
            # Without a password of its own, OpenSSL would ask the terminal for one.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password="")
        except (ssl.SSLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or str(error) or "not readable"
            raise OptionError(
                f"{self.certificate} and {self.key} are not a certificate and its key ({reason}).",
                "Give both as PEM, the key without a password.",
            ) from error


class Listener:
    """A bound socket. It listens, and so lets clients in, only once the server is there."""

    def __init__(self, host: str, port: int, tls: Tls | None = None) -> None:
        """Port 0 takes a free one. Raises OptionError where the address cannot be used."""
        self.host, self.tls = host, tls
        try:
            family, kind, proto, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self.socket = socket.socket(family, kind, proto)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(place)
        except (OSError, OverflowError, ValueError) as error:
            raise self._unusable(port, error) from error

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls else ''}://{host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.socket.getsockname()[0].partition("%")[0]).is_loopback

    def listen(self) -> socket.socket:
        """Let clients in. Raises OptionError where another program was faster."""
        try:
            self.socket.listen(2048)
        except OSError as error:
            raise self._unusable(self.port, error) from error
        self.socket.setblocking(False)
        return self.socket

    def close(self) -> None:
        self.socket.close()

    def _unusable(self, port: int, error: Exception) -> OptionError:
        reason = getattr(error, "strerror", None) or str(error)
        return OptionError(f"Cannot listen on {self.host}:{port}: {reason}.", "Choose another --host or --port.")
