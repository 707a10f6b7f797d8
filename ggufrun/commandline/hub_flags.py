"""The options of the commands that ask the hub."""

import os
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

import typer

from ggufrun.errors import OptionError

Option = typer.Option


@dataclass(frozen=True, slots=True)
class HubFlags:
    """Which hub, and which state of a repository."""

    revision: Annotated[str | None, Option(metavar="REV", help="A branch, a tag or a commit; without: main.")] = None
    mirror: Annotated[str | None, Option(metavar="URL", help="Another hub, as HF_ENDPOINT sets it.")] = None

    def settle(self) -> None:
        """To be called before anything imports huggingface_hub, which reads its variables then. Raises OptionError."""
        if self.mirror is not None:
            parts = urlsplit(self.mirror)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise OptionError(f"--mirror cannot be {self.mirror!r}.", "Write it as https://hf-mirror.com.")
            os.environ["HF_ENDPOINT"] = self.mirror.rstrip("/")
