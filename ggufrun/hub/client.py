"""Who asks the hub: endpoint and token as huggingface_hub has them, and its questions. What it answers is `answers`'.

huggingface_hub is imported late: it reads the HF_* variables then, and takes 0.2 s.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ggufrun.errors import OptionError
from ggufrun.hub.address import checked_address, shown_url
from ggufrun.hub.answers import hub_errors, patiently
from ggufrun.hub.cached import cached_repo
from ggufrun.hub.files import Listing
from ggufrun.hub.listing import listing_of
from ggufrun.hub.spec import HubSpec
from ggufrun.hub_errors import HubError, HubOffline
from ggufrun.store.hub_folder import cache_folder

__all__ = ["Client", "Metadata", "hub_errors", "open_client"]

TIMEOUT_S: Final = 20  # for one answer to begin; bodies may take longer


@dataclass(frozen=True, slots=True)
class Metadata:
    """A file's, as its HEAD tells. `etag`: the sha256 of an LFS file, git's sha1 of a small one."""

    location: str  # where its bytes are for a while; often another host, which is never given the token
    etag: str
    size: int
    commit: str


@dataclass(frozen=True, slots=True)
class Client:
    """One hub and one user's rights on it."""

    endpoint: str
    token: str | None = field(default=None, repr=False)  # never shown
    offline: bool = False
    cache: Path = field(default_factory=lambda: cache_folder(os.environ))

    @property
    def shown(self) -> str:
        """The endpoint without a user and a password in it."""
        return shown_url(self.endpoint)

    def list(self, spec: HubSpec, revision: str | None = None) -> Listing:
        """What the repository holds; one request. `revision` None: the spec's. HubRefused, HubError."""
        wanted = spec.revision_of(revision)
        self.check_online(spec.repo)
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self.endpoint, token=self.token or False)
        with understood(self.shown), self.errors(spec.repo, wanted):
            info = patiently(lambda: api.model_info(spec.repo, revision=wanted, files_metadata=True, timeout=TIMEOUT_S))
            return listing_of(info, wanted, spec.repo)

    def metadata(self, repo: str, revision: str, path: str) -> Metadata:
        """Where a file's bytes are now; one request, and none of the body. HubRefused, HubError."""
        self.check_online(repo)
        from huggingface_hub import get_hf_file_metadata

        url = self.url(repo, revision, path)
        with self.errors(repo, revision), understood(self.shown):
            found = patiently(
                lambda: get_hf_file_metadata(url, token=self.token or False, timeout=TIMEOUT_S, endpoint=self.endpoint)
            )
        if found.etag is None or found.size is None or found.commit_hash is None:
            raise HubError(f"{self.shown} does not say what {path} is.", "Try again, and without --mirror.")
        return Metadata(found.location, found.etag, found.size, found.commit_hash)

    def url(self, repo: str, revision: str, path: str) -> str:
        from huggingface_hub import hf_hub_url

        return hf_hub_url(repo, path, revision=revision, endpoint=self.endpoint)

    def headers(self) -> dict[str, str]:
        """For requests to the endpoint itself; elsewhere the token must not go."""
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public by its docs

        return {**build_hf_headers(token=self.token or False, library_name="ggufrun"), "Accept-Encoding": "identity"}

    def check_online(self, repo: str | None = None) -> None:
        """Raises HubOffline, which names what of the repository is in the cache."""
        if self.offline:
            raise HubOffline(self.shown, _cached(self.cache, repo) if repo else None)

    def errors(self, repo: str, revision: str | None = None) -> AbstractContextManager[None]:
        return hub_errors(repo, revision, endpoint=self.endpoint, token=self.token)


def open_client() -> Client:
    """The hub that HF_ENDPOINT names, with the token of HF_TOKEN or of `hf auth login`. Raises OptionError."""
    if named := os.environ.get("HF_ENDPOINT"):  # looked at before the import, which fails over some
        checked_address(named, "HF_ENDPOINT")
    from huggingface_hub import constants, get_token

    token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token()
    if token is not None and not (token.isascii() and token.isprintable()):
        raise OptionError(
            "HF_TOKEN (or the token of `hf auth login`) holds characters that no token has.", "Set it anew."
        )
    endpoint = (named or constants.ENDPOINT).rstrip("/")
    return Client(endpoint, token, constants.is_offline_mode())


@contextmanager
def understood(hub: str) -> Iterator[None]:
    """For reading an answer: one that is no hub's (a login page, another program) ends in HubError."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HubError(
            f"{hub} does not answer as a hub does.",
            "Check HF_ENDPOINT and --mirror, and whether a network asks for a login.",
        ) from error


def _cached(cache: Path, repo: str) -> tuple[str, ...]:
    """The names of a repository's GGUF files that are in the cache, of any commit."""
    there = cached_repo(cache, repo)
    found = {file.path for commit in there.commits() for file in there.files(commit)}
    return tuple(sorted(path for path in found if path.lower().endswith(".gguf")))
