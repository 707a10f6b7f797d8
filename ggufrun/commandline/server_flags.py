"""The options of `ggufrun serve` that are about HTTP: who may reach it, and how it answers.

Those that `ggufrun page` has too are in `ReachFlags`.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from ggufrun.errors import OptionError

Option = typer.Option
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#@]+")
_HOST: Final = re.compile(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:.]+")
_ROOT_PATH: Final = re.compile(r"(/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class ReachFlags:
    """How others reach what listens: by which names, through which proxy, encrypted or not."""

    allowed_host: Annotated[
        list[str] | None, Option(metavar="NAME", help="A name of this server in Host headers; may be repeated.")
    ] = None
    root_path: Annotated[str, Option(metavar="PATH", help="Where a reverse proxy mounts the server.")] = ""
    tls_cert: Annotated[Path | None, Option(metavar="FILE", help="Certificate chain (PEM), for https.")] = None
    tls_key: Annotated[Path | None, Option(metavar="FILE", help="The certificate's private key (PEM).")] = None

    @property
    def proxied(self) -> bool:
        """Whether a proxy may let others in, as its user says."""
        return bool(self.allowed_host or self.root_path)

    def check(self) -> None:
        """Raises `OptionError` for what cannot be meant, before anything is opened."""
        for name in self.allowed_host or ():
            if not _HOST.fullmatch(name):
                raise OptionError(f"--allowed-host cannot be {name!r}.", "Give a name without scheme and port.")
        if not _ROOT_PATH.fullmatch(self.root_path):
            raise OptionError(f"--root-path cannot be {self.root_path!r}.", "Write it as /name, with no / at its end.")
        if (self.tls_cert is None) != (self.tls_key is None):
            missing = "--tls-key" if self.tls_key is None else "--tls-cert"
            raise OptionError(f"TLS needs a certificate and its key, and {missing} is missing.", f"Add {missing} FILE.")


@dataclass(frozen=True, slots=True)
class ServerFlags(ReachFlags):
    """Where the server listens, and how it behaves there."""

    host: Annotated[str, Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Option(metavar="N", min=0, max=65535, help="Port to listen on; 0: a free one.")] = 8080
    any_model: Annotated[bool, Option("--any-model", help="Take every model name for the one served.")] = False
    strict: Annotated[bool, Option("--strict", help="Refuse what Mistral's hosted API refuses.")] = False
    max_body: Annotated[int, Option(metavar="MB", min=1, max=100_000, help="Largest request.")] = 64
    auth: Annotated[bool, Option("--auth", help="Ask for an API key on this machine too.")] = False
    cors: Annotated[list[str] | None, Option(metavar="ORIGIN", help="Web pages that may call; may be repeated.")] = None
    no_image_urls: Annotated[bool, Option("--no-image-urls", help="Fetch no images: data: URLs only.")] = False
    allow_image_host: Annotated[
        list[str] | None, Option(metavar="HOST", help="Fetch images from here though it is private; may be repeated.")
    ] = None
    log_prompts: Annotated[bool, Option("--log-prompts", help="Keep prompts and answers in log and ledger.")] = False
    open: Annotated[bool, Option("--open", help="Show the page in the browser.")] = False
    no_ui: Annotated[bool, Option("--no-ui", help="The API only, no page.")] = False

    def check(self) -> None:
        """Raises `OptionError` for what cannot be meant, before anything is opened."""
        for origin in self.cors or ():
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                hint = "Write it as browsers do, https://example.org or http://localhost:3000, or * for all."
                raise OptionError(f"--cors cannot be {origin!r}.", hint)
        for name in self.allow_image_host or ():
            if not _HOST.fullmatch(name.strip("[]")):
                raise OptionError(f"--allow-image-host cannot be {name!r}.", "Give a name without scheme and port.")
        if self.no_image_urls and self.allow_image_host:
            hint = "Leave out one of the two."
            raise OptionError("--no-image-urls fetches no images, and --allow-image-host says from where.", hint)
        ReachFlags.check(self)
        if self.open and self.no_ui:
            raise OptionError("--open shows the page, and --no-ui leaves it out.", "Leave out one of the two.")
