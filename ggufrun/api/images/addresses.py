"""Addresses that may be asked for a picture: public ones. A name is looked up once, and checked as numbers.

However a host is spelled (a name, decimal or octal numbers, IPv6 with an IPv4 address in it), the resolver's answer is
what is checked and what is connected to.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import psutil

from ggufrun.errors import RequestError, cut

Resolve = Callable[[str, int], Sequence[str]]

# Beside what `ipaddress` knows not to be global. IPv4: multicast and Azure's metadata, which is reached at a public
# address; 6to4's relays. IPv6: what is in the global range and tunnels IPv4, whose end nobody can check (Teredo, 6to4).
_REFUSED: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            *("224.0.0.0/3", "168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24"),
            *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        ),
    )
)
_GLOBAL_6: Final = ipaddress.IPv6Network("2000::/3")
_WITH_IPV4: Final = (ipaddress.IPv6Network("::ffff:0:0/96"), ipaddress.IPv6Network("64:ff9b::/96"))  # mapped, NAT64


def resolved(host: str, port: int) -> list[str]:
    """The host's addresses, in the order in which the system would try them. Blocks; raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def public(address: str) -> bool:
    """Whether it is an address of the internet at large, not of this machine, its networks or its provider."""
    try:
        number = _number(address)
    except ValueError:
        return False
    if isinstance(number, ipaddress.IPv6Address) and (number.scope_id is not None or number not in _GLOBAL_6):
        return False
    return number.is_global and not any(number in network for network in _REFUSED)


def checked(host: str, found: Sequence[str], *, allowed: bool) -> list[str]:
    """Those of the addresses that may be connected to: all of an `allowed` host's. Raises RequestError for none."""
    ours = set() if allowed else _own()
    addresses = [each for each in found if allowed or (public(each) and _number(each) not in ours)]
    if not addresses:
        hint = "Send the picture itself, as a data: URL, or start the server with --allow-image-host."
        raise RequestError(f"{cut(host)} is not on the public internet: no picture is fetched from it.", hint)
    return addresses


def _own() -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """This machine's addresses: a public one reaches what its firewall keeps from others."""
    found = set()
    for each in psutil.net_if_addrs().values():
        for address in each:
            with suppress(ValueError):  # some are of other kinds: a network card's own
                found.add(_number(address.address))
    return found


def _number(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The one that is meant: of an IPv6 address with an IPv4 address in it, that one. Raises ValueError."""
    number = ipaddress.ip_address(address)
    if isinstance(number, ipaddress.IPv6Address) and any(number in network for network in _WITH_IPV4):
        return ipaddress.IPv4Address(int(number) & 0xFFFF_FFFF)
    return number


def plain(host: str) -> str:
    """A host's name or address as it is compared: lower case, without brackets and the dot at its end."""
    name = host.strip().strip("[]").rstrip(".").lower()
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
