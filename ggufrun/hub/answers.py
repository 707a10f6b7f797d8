"""The hub's refusals and the network's failures in our words, and how often a question is asked again."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from ggufrun.errors import GgufrunError
from ggufrun.hub.address import secrets_in, shown_url
from ggufrun.hub_errors import GatedRepo, HubError, HubOffline, HubRefused, HubUnreachable, NoSuchRevision, RepoNotFound

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

WAITS_S: Final = (0.5, 2.0)  # before the second and the third try
TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_MOST_WAIT_S: Final = 15.0  # that a Retry-After is obeyed; of a longer one the user is told
_SHOWN: Final = 200  # characters of what a server says

Answer = TypeVar("Answer")


@contextmanager
def hub_errors(
    repo: str, revision: str | None = None, *, endpoint: str = "https://huggingface.co", token: str | None = None
) -> Iterator[None]:
    """Turns what huggingface_hub and its HTTP library raise into HubRefused and HubError.

    Neither `token` nor a password in the endpoint is repeated.
    """
    import httpx2
    from huggingface_hub import errors as theirs

    passwords = secrets_in(endpoint)
    secrets = (*((token,) if token else ()), *passwords)
    known = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, ConnectionError)
    try:
        yield
    except GgufrunError:
        raise
    except (*known, theirs.LocalEntryNotFoundError, theirs.FileMetadataError, theirs.HFValidationError) as error:
        ours = _in_our_words(error, repo, revision or "main", shown_url(endpoint), _Asker(token is not None, secrets))
        # A server may repeat what it was sent, and --debug shows what an error was raised from, with addresses.
        raise ours from (None if passwords or (token and token in f"{error!s}{error!r}") else error)


@dataclass(frozen=True, slots=True)
class _Asker:
    """Who asked the hub: what must not be repeated, and whether a token is among it."""

    token: bool
    secrets: tuple[str, ...]


def _in_our_words(error: Exception, repo: str, revision: str, hub: str, asker: _Asker) -> GgufrunError:
    import httpx2
    from huggingface_hub import errors as theirs

    match error:
        case theirs.HFValidationError():
            return HubRefused(f"{repo[:_SHOWN]!r} cannot be a repository's name.", "Write it as owner/name.")
        case theirs.GatedRepoError():  # before RepositoryNotFoundError, of which it is one
            return GatedRepo(repo, token=asker.token)
        case theirs.RepositoryNotFoundError():
            return RepoNotFound(repo, token=asker.token)
        case theirs.RevisionNotFoundError():
            return NoSuchRevision(repo, revision)
        case theirs.LocalEntryNotFoundError() | theirs.FileMetadataError():
            return HubUnreachable(hub, "it says nothing of the file")
        case theirs.RemoteEntryNotFoundError():
            return HubRefused(f"{repo} has no such file at {revision}.", f"`ggufrun show {repo}` lists what it has.")
        case theirs.DisabledRepoError():
            return HubRefused(f"{repo} is disabled on the hub.", "Choose another repository: `ggufrun search WORDS`.")
        case theirs.HfHubHTTPError():
            return _of_status(error, repo, hub, asker)
        case theirs.OfflineModeIsEnabled():
            return HubOffline(hub)
        case httpx2.TimeoutException():
            return HubUnreachable(hub, "it took too long")
        case httpx2.TooManyRedirects() | httpx2.UnsupportedProtocol() | httpx2.InvalidURL():
            return HubUnreachable(hub, "that is not the address of a hub")
        case httpx2.ProxyError():
            return HubUnreachable(hub, "the proxy failed")
    return HubUnreachable(hub, _clean(str(error) or type(error).__name__, asker.secrets))


def _of_status(error: "HfHubHTTPError", repo: str, hub: str, asker: _Asker) -> GgufrunError:
    status = error.response.status_code
    said = _clean(error.response.headers.get("X-Error-Message") or error.server_message or "", asker.secrets)
    if status == 401 and not asker.token:
        # The library takes a bare 401 for a repository that is missing or private where the address is https only.
        if f"/{repo}/" in f"{error.response.url.path}/":
            return RepoNotFound(repo, token=False)
        return HubRefused(f"{hub} wants to know who asks.", "Log in: `hf auth login`, or set HF_TOKEN.")
    if status == 401:
        return HubRefused(
            f"{hub} does not know your token.",
            "Log in again: `hf auth login`; or unset HF_TOKEN: what is public needs none.",
        )
    if status == 403:
        hint = "Look at what your token may do on https://huggingface.co/settings/tokens."
        return HubRefused(f"{hub} forbids that{f': {said}' if said else ''}.", hint)
    if status == 429:
        wait = retry_after_s(error)
        return HubError(
            f"{hub} has had too many questions from here.",
            f"Try again in {wait:.0f} s." if wait else "Try again in a few minutes; with a token more are allowed.",
        )
    if status >= 500:
        return HubError(f"{hub} failed ({status}{f', {said}' if said else ''}).", "Try again in a while.")
    return HubRefused(f"{hub} refuses ({status}{f', {said}' if said else ''}).", "Check the name and --mirror.")


def patiently(ask: Callable[[], Answer]) -> Answer:
    """Ask up to three times where the server is busy or the connection breaks. Who does not answer is asked once.

    To wait for the time limit again and again would be a minute without a word.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    for wait_s in WAITS_S:
        try:
            return ask()
        except HfHubHTTPError as error:
            told = retry_after_s(error)
            if error.response.status_code not in TRY_AGAIN or (told or 0) > _MOST_WAIT_S:
                raise
            time.sleep(told if told is not None else wait_s)
        except (httpx2.ReadError, httpx2.RemoteProtocolError):
            time.sleep(wait_s)
    return ask()


def retry_after_s(error: "HfHubHTTPError") -> float | None:
    """The seconds of a Retry-After; None without one, or where it is a date."""
    told = error.response.headers.get("Retry-After", "")
    return float(told) if told.isascii() and told.replace(".", "", 1).isdigit() else None


def _clean(text: str, secrets: Sequence[str]) -> str:
    """What a server says, short, on one line, and without the secrets that it was sent."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return "".join(char if char.isprintable() else " " for char in text).strip().rstrip(".")[:_SHOWN]
