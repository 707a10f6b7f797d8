"""The files that `ggufrun compare` is asked for: those that are here, and those that a pull fetches first"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ggufrun.commandline.compare_flags import RowFlags
from ggufrun.commandline.hub_flags import HubFlags
from ggufrun.commandline.table import printable
from ggufrun.errors import InputError, ModelFileError, OptionError
from ggufrun.figures import gb
from ggufrun.store.resolve import locate
from ggufrun.weights.notation import Notation


@dataclass(frozen=True, slots=True)
class FileFlags:
    """What was named, and the hub that is asked for what is not here."""

    models: tuple[str, ...]
    hub: HubFlags


def files_of(flags: FileFlags, rows: RowFlags, home: Path) -> list[Path]:
    """In the order in which they were named. Raises InputError and HubError."""
    if rows.quants is None:
        return [_located(model, home) for model in flags.models]
    if len(flags.models) != 1:
        raise OptionError("--quants are those of one model.", "Name one SPEC, or several files without --quants.")
    asked = Notation.read(flags.models[0])
    if asked is None or flags.models[0].lower().endswith(".gguf") or os.path.isfile(flags.models[0]):
        raise OptionError("--quants are those of a model by its name.", "Give owner/repo, or files without --quants.")
    quants = list(dict.fromkeys(name.strip() for name in rows.quants.split(",")))
    if not all(quants):
        raise OptionError("--quants has an empty name.", "Write it as Q4_K_M,Q8_0.")
    if rows.reference.lower() not in ("auto", *map(str.lower, quants)):
        quants.append(rows.reference)
    return _quants(asked.name, quants, flags.hub, home)


def _located(model: str, home: Path) -> Path:
    """A path that was named may lead to no file: its row says so."""
    try:
        return locate(model, home)
    except ModelFileError as error:
        return error.path


def _quants(name: str, quants: Sequence[str], hub: HubFlags, home: Path) -> list[Path]:
    here = {quant: path for quant in quants if (path := _here(f"{name}:{quant}", home)) is not None}
    lacking = [quant for quant in quants if quant not in here]
    return [(here | _fetched(name, lacking, hub))[quant] for quant in quants]


def _here(spec: str, home: Path) -> Path | None:
    try:
        return locate(spec, home)
    except InputError:
        return None


def _fetched(name: str, quants: Sequence[str], hub: HubFlags) -> dict[str, Path]:
    """All are looked for before the first byte comes."""
    if not quants:
        return {}
    hub.settle()
    from ggufrun.commandline.pull_bars import shown
    from ggufrun.hub.pull import pull
    from ggufrun.library.pulling import chosen
    from ggufrun.library.wishes import wishes_for

    def say(text: str) -> None:
        print(printable(text), file=sys.stderr, flush=True)

    wanted = [f"{name}:{quant}" for quant in quants]
    plans = [chosen(spec, hub.revision, wishes_for(spec, {}, {}), mmproj=False, say=say) for spec in wanted]
    coming = sum(each.plan.coming for each in plans)
    say(f"{', '.join(quants)} of {name}: {gb(coming)} to come, {gb(plans[0].plan.free)} free.")
    found = {}
    try:
        for quant, each in zip(quants, plans, strict=True):
            with shown(each.plan) as on_progress:
                found[quant] = pull(each.client, each.plan, on_progress)
    except KeyboardInterrupt:
        say("Stopped. What came is kept: the same command goes on from there.")
        raise
    return found
