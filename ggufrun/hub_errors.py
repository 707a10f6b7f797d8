"""The errors of the hub and of downloads, a part of `errors`' tree: what the hub does not give, and what failed"""

from collections.abc import Sequence
from pathlib import Path

from ggufrun.errors import GgufrunError, InputError, cut
from ggufrun.figures import gb


class HubRefused(InputError):
    """The hub answers, and does not give what was asked for."""


class RepoNotFound(HubRefused):
    def __init__(self, repo: str, *, token: bool) -> None:
        """`token`: whether one was sent. The hub answers alike for what is missing and what is private."""
        private = "whether your token may read it" if token else "log in if it is private: `hf auth login`, or HF_TOKEN"
        hint = f"Check the name (`ggufrun search WORDS` finds some), and {private}."
        super().__init__(f"The hub has no repository {cut(repo)!r}, or it is private.", hint)
        self.repo = repo


class GatedRepo(HubRefused):
    def __init__(self, repo: str, *, token: bool) -> None:
        page = f"https://huggingface.co/{repo}"
        then = "and try again." if token else "then log in: `hf auth login`, or set HF_TOKEN."
        super().__init__(f"{repo} is gated: its makers want to be asked first.", f"Ask for access on {page}, {then}")
        self.repo = repo


class NoSuchRevision(HubRefused):
    def __init__(self, repo: str, revision: str) -> None:
        hint = "Give a branch, a tag or a commit, or drop --revision."
        super().__init__(f"{repo} has no revision {cut(revision)!r}.", hint)
        self.repo, self.revision = repo, revision


class NoSuchQuant(HubRefused):
    def __init__(self, repo: str, quant: str, known: Sequence[str]) -> None:
        there = f"There are: {', '.join(known)}." if known else "It holds no GGUF files; try `ggufrun search WORDS`."
        super().__init__(f"{repo} has no quant {cut(quant)!r}.", there)
        self.repo, self.quant, self.known = repo, quant, tuple(known)


class DiskFull(InputError):
    def __init__(self, folder: str | Path, needed: int, free: int, margin: int = 0) -> None:
        """Bytes. `margin`: what is to stay free for others who write to that disk."""
        stays = f" ({gb(margin)} stay free)" if margin else ""
        message = f"{folder} has {gb(free)} free, and {gb(needed)} are still to come{stays}."
        hint = "Make room (`ggufrun list`, `ggufrun rm`), choose a smaller quant, or set HF_HOME to another disk."
        super().__init__(message, hint)
        self.folder, self.needed, self.free = Path(folder), needed, free


class HubError(GgufrunError):
    """The hub, or the way to it, failed; another try may go well."""


class HubUnreachable(HubError):
    def __init__(self, url: str, why: str = "") -> None:
        """`url`: the endpoint that was asked."""
        reason = f" ({why})" if why else ""
        hint = "Check the connection, proxy and HF_ENDPOINT, and try again."
        super().__init__(f"No answer from {url}{reason}.", hint)
        self.url, self.why = url, why


class HubOffline(HubUnreachable):
    def __init__(self, url: str, cached: Sequence[str] | None = None) -> None:
        """`cached`: what of the wanted repository is on this machine; None: no repository was meant."""
        there = f" In the cache: {', '.join(cached)}." if cached else " Nothing of it is in the cache."
        message = f"HF_HUB_OFFLINE is set, so {url} is not asked.{there if cached is not None else ''}"
        HubError.__init__(self, message, "Unset it to ask the hub.")
        self.url, self.why, self.cached = url, "offline", tuple(cached or ())


class WrongBytes(HubError):
    def __init__(self, name: str, expected: str, found: str) -> None:
        kind = "sha256" if len(expected) == 64 else "git checksum"
        message = f"{name} came whole, but its {kind} is {found[:12]}… and the hub says {expected[:12]}…."
        hint = "What came was thrown away: pull it again; if that repeats, try without --mirror or proxy."
        super().__init__(message, hint)
        self.name, self.expected, self.found = name, expected, found
