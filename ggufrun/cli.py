"""The `ggufrun` command: thin Typer commands. What they do is in `commandline`, imported only when a command runs."""

import io
import os
import sys
from typing import Annotated

import typer

from ggufrun.commandline.exits import exit_codes, print_error
from ggufrun.commandline.flags import AskFlags, EngineFlags, LoadFlags
from ggufrun.commandline.groups import grouped

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[str, typer.Argument(metavar="MODEL", help="demo, a .gguf file, or a name from models/*.toml.")]
Prompt = Annotated[str | None, typer.Argument(metavar="PROMPT", help="Ask this once; without it, chat.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False,
) -> None:
    """Run quantized GGUF models on your own machine. Without a command: chat with the demo model."""
    if version:
        typer.echo(f"ggufrun {_version()}")
        raise typer.Exit()
    if context.invoked_subcommand is None:
        _run("demo", None, AskFlags(), LoadFlags(), debug=False)


@app.command()
@grouped
def run(model: Model, *, prompt: Prompt = None, ask: AskFlags, load: LoadFlags, debug: Debug = False) -> None:
    """Chat with MODEL, or answer one PROMPT. Piped text is the prompt, or follows PROMPT as context."""
    _run(model, prompt, ask, load, debug=debug)


@app.command()
@grouped
def serve(
    model: Model,
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0: a free one.", min=0, max=65535)] = 8080,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="The API only, no page.")] = False,
    engine: EngineFlags,
    load: LoadFlags,
    debug: Debug = False,
) -> None:
    """Serve MODEL over HTTP, in Mistral's and OpenAI's dialect."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.serve import serve as command

        command(model, (host, port), engine, load, ui=not no_ui)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("ggufrun")
    except PackageNotFoundError:
        return "(not installed)"


def _run(model: str, prompt: str | None, ask: AskFlags, load: LoadFlags, *, debug: bool) -> None:
    with exit_codes(debug=debug):
        from ggufrun.commandline.run import run as command

        command(model, prompt, ask, load)


def main(arguments: list[str] | None = None) -> int:
    """Run one command line (default: this process's) and give its exit code."""
    if sys.stdout is None:  # closed by the caller
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a character shows "?"
    try:
        code = typer.main.get_command(app).main(arguments, prog_name="ggufrun", standalone_mode=False)
    except typer.TyperException as error:
        print_error(_parser_error(error))
        return 2
    except typer.Abort:
        return 130
    return code if isinstance(code, int) else 0


def _parser_error(error: typer.TyperException) -> str:
    """What the parser refused and what to do about it."""
    described: str = getattr(error, "format_message", error.__str__)()
    command = getattr(getattr(error, "ctx", None), "command_path", "ggufrun")
    hint = f"{command} --help shows what there is."
    if described.startswith("No such command"):
        hint = "To use a model: ggufrun run MODEL."
    elif "extra argument" in described:
        hint = "Put a prompt of several words in quotes."
    elif described.startswith("No such option"):
        hint += " (A prompt that starts with - goes after --.)"
    return f"{described.rstrip('.')}. {hint}"


if __name__ == "__main__":
    sys.exit(main())
