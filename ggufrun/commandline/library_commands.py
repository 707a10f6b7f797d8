"""The commands about models as files: finding, choosing, fetching and checking them. Thin, as in `cli`."""

from typing import Annotated

import typer

from ggufrun.commandline.compare_flags import AimFlags, BlindFlags, RowFlags, TextFlags
from ggufrun.commandline.exits import exit_codes
from ggufrun.commandline.groups import grouped
from ggufrun.commandline.hub_flags import HubFlags, MirrorFlags
from ggufrun.commandline.plan_flags import MachineFlags, PlanFlags
from ggufrun.commandline.quantize_flags import QuantizeFlags
from ggufrun.commandline.rpc_flags import RpcFlags
from ggufrun.errors import OptionError

Spec = Annotated[str, typer.Argument(metavar="SPEC", help="A card's name or owner/repo, either with :QUANT.")]
Fitted = Annotated[str, typer.Argument(metavar="SPEC|FILE", help="As for `ggufrun pull`, or a .gguf file.")]
Here = Annotated[str, typer.Argument(metavar="NAME", help="As `ggufrun list` shows it, or what `ggufrun run` takes.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def register(app: typer.Typer) -> None:
    """Give the app these commands."""
    for command in (search, show, fit, pull, list_, path, verify, rm, quantize, compare, doctor):
        app.command(command.__name__.strip("_"))(command)


@grouped
def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="What the name must hold.")],
    *,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Repositories at most.")] = 20,
    hub: MirrorFlags,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Find GGUF repositories on the hub."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.search import search as command

        command(" ".join(words), limit, hub, as_json=json)


@grouped
def show(
    spec: Spec, *, hub: HubFlags, machine: MachineFlags, pinned: PlanFlags, json: Json = False, debug: Debug = False
) -> None:
    """Show the quants of a repository, and which of them fit."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.show import show as command

        command(spec, hub, machine, pinned, as_json=json)


@grouped
def fit(
    spec: Fitted,
    *,
    hub: HubFlags,
    machine: MachineFlags,
    pinned: PlanFlags,
    rpc: RpcFlags,
    mmproj: Annotated[
        str | None, typer.Option(metavar="FILE|none", help="The part that sees images; without: the model's own.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show how a model would be loaded, what that takes, and why. Nothing is downloaded but its header."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.fit import fit as command

        command(spec, hub, machine, pinned, rpc, mmproj=mmproj, as_json=json)


@grouped
def pull(
    spec: Spec,
    *,
    hub: HubFlags,
    no_mmproj: Annotated[bool, typer.Option("--no-mmproj", help="Without the part that sees images.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and fetch nothing.")] = False,
    pinned: PlanFlags,
    debug: Debug = False,
) -> None:
    """Fetch a quant; without :QUANT the best that fits. What came already is never fetched again."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.pull import pull as command

        command(spec, hub, pinned, mmproj=not no_mmproj, dry_run=dry_run)


def list_(*, json: Json = False, debug: Debug = False) -> None:
    """Show the models on this machine, other programs' too."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.listing import show_list as command

        command(as_json=json)


def path(name: Here, *, debug: Debug = False) -> None:
    """Print the path of a model's file."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.path import path as command

        command(name)


def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Without: all of ours.")] = None,
    *,
    mend: Annotated[
        bool, typer.Option("--mend", help="Delete files with wrong bytes, so that `pull` mends them.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Read files whole and check them against their checksums."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.verify import verify as command

        command(names or [], mend=mend)


def rm(
    name: Here,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    debug: Debug = False,
) -> None:
    """Delete a model's files."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.rm import rm as command

        command(name, sure=yes)


@grouped
def quantize(
    file: Annotated[str, typer.Argument(metavar="FILE|NAME", help="As for `ggufrun run`; best in BF16 or F16.")],
    *,
    flags: QuantizeFlags,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the sizes and write nothing.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make quants of a model's file, with llama.cpp's own quantizer."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.quantize import quantize as command

        command(file, flags, dry_run=dry_run, as_json=json)


@grouped
def compare(
    models: Annotated[
        list[str], typer.Argument(metavar="SPEC|FILE...", help="One SPEC with --quants, or several .gguf files.")
    ],
    *,
    rows: RowFlags,
    text: TextFlags,
    aims: AimFlags,
    machine: MachineFlags,
    blind: BlindFlags,
    hub: HubFlags,
    debug: Debug = False,
) -> None:
    """Measure what each quant of a model costs: in quality, speed and memory, on your text and this machine.

    The best of the quants is the reference; all are measured against it, token by token, each in a process of its own.
    What is finished is kept: a run that was stopped goes on, and the same again is there at once.
    """
    with exit_codes(debug=debug):
        if blind.blind:
            from ggufrun.commandline.compare_blind import compare_blind

            compare_blind(models, blind, rows, text, aims)
        else:
            from ggufrun.commandline.compare import compare as command
            from ggufrun.commandline.compare_files import FileFlags

            if blind.prompts is not None or blind.max_tokens != BlindFlags().max_tokens:
                raise OptionError(
                    "--prompts and --max-tokens are of the blind test.", "Add --blind, or leave them out."
                )
            command(FileFlags(tuple(models), hub), rows, text, aims, machine)


def doctor(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Check this model's files, too.")] = None,
    *,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what this machine and this llama.cpp can do, and what to mend. Made to be pasted into a bug report."""
    with exit_codes(debug=debug):
        from ggufrun.commandline.doctor import doctor as command

        command(model, as_json=json)
