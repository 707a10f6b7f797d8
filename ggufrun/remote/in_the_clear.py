"""Keys that would cross a network in the clear, in words for who starts the server. Nothing is looked up or sent"""

from collections.abc import Iterable
from typing import Final, Literal
from urllib.parse import urlsplit

from ggufrun.remote.settings import RemoteSettings

Network = Literal["private", "public"]

_HOME: Final = (".local", ".lan", ".internal", ".intranet", ".home", ".localdomain", ".home.arpa")
_SECTION: Final = "docs/scale.md, section 4"


def warnings(remotes: Iterable[RemoteSettings]) -> list[str]:
    """At most a line for each kind of network: of those with a key whose url is http:// and not of this machine."""
    exposed = [each for each in remotes if each.key_env and _in_the_clear(each)]
    found = []
    if public := [each.name for each in exposed if _network(each) == "public"]:
        found.append(
            f"warning: {_whose(public)} and all that is said cross the internet unencrypted (http://): whoever is on "
            f"the way can read them. Use https://, an SSH tunnel or WireGuard ({_SECTION})."
        )
    if private := [each.name for each in exposed if _network(each) == "private"]:
        found.append(
            f"warning: {_whose(private)} and all that is said cross your network unencrypted (http://): whoever "
            f"shares it can read them. Use https://, an SSH tunnel or WireGuard ({_SECTION}), unless one of these "
            "carries that address already."
        )
    return found


def _in_the_clear(remote: RemoteSettings) -> bool:
    return urlsplit(remote.url).scheme == "http" and not remote.loopback


def _network(remote: RemoteSettings) -> Network:
    """By the url alone: a name of one word is of a network that knows it."""
    if (address := remote.address) is not None:
        return "public" if address.is_global else "private"
    return "private" if "." not in remote.host or remote.host.endswith(_HOME) else "public"


def _whose(names: list[str]) -> str:
    return f"the key of remote {names[0]}" if len(names) == 1 else f"the keys of remotes {', '.join(names)}"
