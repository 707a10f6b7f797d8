"""The app's group of commands: those about models as files join it when one of them, or the list of all, is asked for.

`ggufrun run` starts without them and their many options.
"""

from typing import Any

import typer
from typer.core import TyperGroup


class LaterCommands(TyperGroup):
    """Typer makes one for each command line."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands:
            self._join()
        return super().get_command(ctx, cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        self._join()
        return super().list_commands(ctx)

    def _join(self) -> None:
        from ggufrun.commandline import library_commands, rpc_commands

        more = typer.Typer(rich_markup_mode=None)
        library_commands.register(more)
        rpc_commands.register(more)
        self.commands = {**self.commands, **typer.main.get_group(more).commands}
