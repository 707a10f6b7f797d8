"""The address of a hub: whether it can be one, and how it is shown. What may be secret in it is never shown."""

from urllib.parse import unquote, urlsplit, urlunsplit

from ggufrun.errors import OptionError


def checked_address(address: str, name: str) -> str:
    """Without slashes at its end. Raises OptionError; `name` is what gave it: an option or a variable."""
    try:
        parts = urlsplit(address)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, or a port past 65535
        fits = False
    if not fits:
        shown = address.rpartition("@")[2]
        raise OptionError(f"{name} cannot be {shown!r}.", "Write it as https://hf-mirror.com.")
    return address.rstrip("/")


def shown_url(url: str) -> str:
    """An address without the user and the password that may be in it."""
    try:
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    except ValueError:
        return "the hub"


def secrets_in(url: str) -> tuple[str, ...]:
    """The password of an address, as it is written and as it is meant, and with the user before it; the longest first.

    A name without a password may be a token.
    """
    try:
        user, _, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    except ValueError:
        return ()
    written = [password, f"{user}:{password}"] if password else [user]
    return tuple(sorted({*written, *map(unquote, written)} - {""}, key=len, reverse=True))
