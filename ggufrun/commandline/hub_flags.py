"""The options of the commands that ask the hub."""

import os
from dataclasses import dataclass
from typing import Annotated

import typer

from ggufrun.hub.address import checked_address

Option = typer.Option


@dataclass(frozen=True, slots=True)
class MirrorFlags:
    """Which hub."""

    mirror: Annotated[str | None, Option(metavar="URL", help="Another hub, as HF_ENDPOINT sets it.")] = None

    def settle(self) -> None:
        """To be called before anything imports huggingface_hub, which reads its variables then. Raises OptionError."""
        if self.mirror is not None:
            os.environ["HF_ENDPOINT"] = checked_address(self.mirror, "--mirror")


@dataclass(frozen=True, slots=True)
class HubFlags(MirrorFlags):
    """Which hub, and which state of a repository."""

    revision: Annotated[str | None, Option(metavar="REV", help="A branch, a tag or a commit; without: main.")] = None
