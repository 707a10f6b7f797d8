"""The `ggufrun` command: thin Typer commands. What they do is in `commandline`, imported only when a command runs."""

import io
import os
import sys
from typing import Annotated, Literal

import typer

from ggufrun.commandline.exits import exit_codes, print_error
from ggufrun.commandline.flags import AskFlags, EngineFlags, LoadFlags
from ggufrun.commandline.groups import grouped
from ggufrun.commandline.later import LaterCommands
from ggufrun.commandline.pool_flags import PoolFlags
from ggufrun.commandline.server_flags import ReachFlags, ServerFlags

app = typer.Typer(
    cls=LaterCommands,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

keys = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make, list and revoke API keys.")
app.add_typer(keys, name="keys")

shadow = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Compare a route's answers with its shadow's.")
app.add_typer(shadow, name="shadow")

Model = Annotated[str, typer.Argument(metavar="MODEL", help="demo, a .gguf file, or a name from models/*.toml.")]
Models = Annotated[
    list[str] | None,
    typer.Argument(metavar="MODEL...", help="Each as for `ggufrun run`; without: demo, if it is here."),
]
Prompt = Annotated[str | None, typer.Argument(metavar="PROMPT", help="Ask this once; without it, chat.")]
KeyName = Annotated[str, typer.Argument(metavar="NAME", help="Letters, digits and . _ @ -.")]
Url = Annotated[str | None, typer.Option(metavar="URL", help="The server, if it is not found by itself.")]
Api = Annotated[str | None, typer.Option(metavar="URL", help="The ggufrun whose models it is for.")]
Route = Annotated[str | None, typer.Argument(metavar="[ROUTE]", help="This route's only.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version.", is_eager=True)] = False,
    api: Api = None,
    port: Annotated[int | None, typer.Option(metavar="N", min=0, max=65535, help="The page's port; else 8080.")] = None,
    open_browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Show the page in the browser.")] = True,
) -> None:
    """Run quantized GGUF models on your own machine. Without a command: the chat page, in the browser."""
    if version:
        typer.echo(f"ggufrun {_version()}")
        raise typer.Exit()
    if context.invoked_subcommand is not None:
        if api is not None or port is not None or not open_browser:
            print_error("--api, --port and --no-browser are for `ggufrun` alone. Commands have options of their own.")
            raise typer.Exit(2)
        return
    with exit_codes(debug=False):
        from ggufrun.commandline.start import start as command

        command(api, port, open_browser=open_browser, version=_version())


@app.command()
@grouped
def page(
    api: Api = None,
    *,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port to listen on; 0: a free one.")] = 0,
    reach: ReachFlags,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Show it in the browser.")] = True,
    debug: Debug = False,
) -> None:
    """Show the page of another ggufrun's models. Its key is GGUFRUN_API_KEY, or what one logs in with."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.page import page as command

        command(api or "http://127.0.0.1:8080", host, port, reach, open_browser=open_browser)


@app.command()
@grouped
def run(model: Model, *, prompt: Prompt = None, ask: AskFlags, load: LoadFlags, debug: Debug = False) -> None:
    """Chat with MODEL, or answer one PROMPT. Piped text is the prompt, or follows PROMPT as context."""
    _run(model, prompt, ask, load, debug=debug)


@app.command()
@grouped
def serve(
    models: Models = None,
    *,
    server: ServerFlags,
    pool: PoolFlags,
    engine: EngineFlags,
    load: LoadFlags,
    debug: Debug = False,
) -> None:
    """Serve models over HTTP, in Mistral's and OpenAI's dialect. Several are loaded when they are asked for."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.serve import serve as command

        command(models or (), server, pool, engine, load, version=_version())


@app.command()
def ps(
    url: Url = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="As a JSON list of servers.")] = False,
    debug: Debug = False,
) -> None:
    """Show the models of the servers that run."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.ps import ps as command

        command(url, as_json=json)


@app.command()
def stop(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Unload this one only.")] = None,
    *,
    url: Url = None,
    debug: Debug = False,
) -> None:
    """End the running server, or unload one of its models."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.stop import stop as command

        command(model, url)


@keys.command("add")
def keys_add(
    name: KeyName,
    *,
    scope: Annotated[Literal["chat", "admin"], typer.Option(help="admin may also manage the server.")] = "chat",
    tokens_per_day: Annotated[int | None, typer.Option(metavar="N", help="Limit of each day (UTC).")] = None,
    models: Annotated[str | None, typer.Option(metavar="A,B", help="The models it may use; without: all.")] = None,
    debug: Debug = False,
) -> None:
    """Make a key and show it, this once. From then on requests need one."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.keys import add

        add(name, scope, tokens_per_day, models)


@keys.command("list")
def keys_list(
    *, json: Annotated[bool, typer.Option("--json", help="As a JSON list.")] = False, debug: Debug = False
) -> None:
    """Show the keys that are good, without their secrets."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.keys import show

        show(as_json=json)


@keys.command("revoke")
def keys_revoke(name: KeyName, *, debug: Debug = False) -> None:
    """Make a key useless, at once and for good."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.keys import revoke

        revoke(name)


@keys.command("clear")
def keys_clear(*, debug: Debug = False) -> None:
    """Forget all keys. On this machine none is needed then, until one is made."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.keys import clear

        clear()


@app.command()
def usage(
    since: Annotated[str | None, typer.Option(help="7d, 12h, 2w, or a date such as 2026-11-01 (UTC).")] = None,
    by: Annotated[str, typer.Option(help="day, key, model or engine.")] = "day",
    csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Show what the served calls used, and what the hosted model would have cost."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.usage import form_of
        from ggufrun.commandline.usage import usage as command

        command(since, by, form_of(csv=csv, as_json=as_json))


@shadow.command("report")
def shadow_report(
    route: Route = None,
    *,
    since: Annotated[str | None, typer.Option(help="7d, 12h, 2w, or a date such as 2026-11-01 (UTC).")] = None,
    show: Annotated[int, typer.Option(metavar="N", help="Show so many answers that differ, side by side.")] = 5,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV, without answers.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    debug: Debug = False,
) -> None:
    """Show how often real and shadow answers agree, what both take, and those that differ."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.shadow import report
        from ggufrun.commandline.usage import form_of

        report(route, since, show, form_of(csv=csv, as_json=as_json))


@shadow.command("clear")
def shadow_clear(route: Route = None, *, debug: Debug = False) -> None:
    """Forget the answers that are kept."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.shadow import clear

        clear(route)


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
