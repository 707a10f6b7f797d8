"""`ggufrun compare`: models are found or fetched, then measured; then the table, and where the report lies

The comparison itself is `ggufrun.compare`'s. Ctrl-C ends it with a report of what is finished; a second one at once.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, get_args

from platformdirs import user_cache_path

from ggufrun.commandline.compare_bars import shown
from ggufrun.commandline.compare_files import FileFlags, files_of
from ggufrun.commandline.compare_flags import AimFlags, RowFlags, TextFlags
from ggufrun.commandline.compare_knobs import knobs
from ggufrun.commandline.compare_named import model_of, report_id
from ggufrun.commandline.plan_flags import MachineFlags
from ggufrun.commandline.saved_chats import saved_chats
from ggufrun.commandline.table import printable
from ggufrun.commandline.values import tokens
from ggufrun.compare.report.table import terminal_table
from ggufrun.compare.report.written import write_report
from ggufrun.compare.results import Report
from ggufrun.compare.run.contender import contenders
from ggufrun.compare.run.memory import check_aims
from ggufrun.compare.run.mode import MODES, Mode
from ggufrun.compare.run.plan import Aims, Plan, make_plan
from ggufrun.compare.run.task_items import TASKS
from ggufrun.compare.run.tasks_ahead import tasks_ahead
from ggufrun.compare.run.whole import compare as measured
from ggufrun.compare.texts.chats import part_of, prompts_of
from ggufrun.compare.texts.files import parts_of
from ggufrun.compare.texts.mixture import mixture
from ggufrun.compare.texts.source import Source
from ggufrun.errors import OptionError
from ggufrun.settings import KvType
from ggufrun.userconfig import data_folder

_WIDE: Final = 160  # characters, where nobody knows how many there is room for


def compare(files: FileFlags, rows: RowFlags, text: TextFlags, aims: AimFlags, machine: MachineFlags) -> None:
    """Raises InputError, HubError and EngineError; KeyboardInterrupt when the report of an interrupted run is there."""
    home = data_folder(os.environ)
    plan = _plan(files, rows, text, aims, machine, home)
    _announce(plan)
    cancelled = threading.Event()
    with _interruptible(cancelled), shown() as on_progress:
        report = measured(plan, on_progress=on_progress, cancelled=cancelled)
    if report.unfinished and not any(row.ppl or row.speed for row in report.rows):
        print("Stopped before anything was measured.", file=sys.stderr)
        raise KeyboardInterrupt
    folder = aims.out or home / "compare" / report_id(report)
    written = write_report(report, folder)
    _print(report)
    print(f"\nReport: {printable(str(written.html))}", flush=True)
    if report.unfinished:
        print("Stopped. What is finished is kept: the same command goes on from there.", file=sys.stderr)
        raise KeyboardInterrupt


def _plan(files: FileFlags, rows: RowFlags, text: TextFlags, aims: AimFlags, machine: MachineFlags, home: Path) -> Plan:
    _check_place(aims.out)
    mode, source = _mode(text), _source(text, home)  # what is wrong with these is said before anything is fetched
    kv_types, tasks, overrides = _kv_types(rows.kv_types), _tasks(text.tasks, mode), knobs(home)
    wanted = Aims(aims.min_tok_s, tokens(aims.context, "--context") if aims.context else None, machine.gpu, machine.ram)
    check_aims(wanted)
    found = contenders(files_of(files, rows, home), home)
    plan = make_plan(
        model_of(found),
        found,
        source,
        user_cache_path("ggufrun", appauthor=False) / "compare",
        kv_types=kv_types,
        reference=None if rows.reference.lower() == "auto" else rows.reference,
        mode=mode,
    )
    return replace(plan, tasks=tasks, aims=wanted, overrides=overrides)


def _check_place(out: Path | None) -> None:
    """Whether the report can be written there, hours later."""
    if out is None:
        return
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise OptionError(f"--out: in {there} nothing can be written.", "Name a folder of yours, or one to be made.")


def _mode(flags: TextFlags) -> Mode:
    if flags.quick and flags.full:
        raise OptionError("--quick and --full contradict each other.", "Give one of them.")
    return MODES["quick" if flags.quick else "full" if flags.full else "default"]


def _source(flags: TextFlags, home: Path) -> Source:
    packaged = mixture()
    if flags.text and flags.chats:
        raise OptionError("--text and --chats contradict each other.", "Give one of them.")
    if flags.text:
        parts = parts_of(flags.text)
        return Source(", ".join(part.name for part in parts), parts, packaged.prompts)
    if flags.chats:
        chats = saved_chats(home)
        return Source("saved chats", (part_of(chats),), prompts_of(chats) or packaged.prompts)
    return packaged


def _kv_types(text: str | None) -> tuple[KvType, ...]:
    known: dict[str, KvType] = {name: name for name in get_args(KvType)}
    names = [name.strip().lower() for name in (text or "f16").split(",")]
    if unknown := [name for name in names if name not in known]:
        raise OptionError(f"--kv-types: there is no {unknown[0]!r}.", f"There are: {', '.join(known)}.")
    return tuple(known[name] for name in names)


def _tasks(text: str | None, mode: Mode) -> tuple[str, ...]:
    if text is None:
        return mode.tasks
    if text.strip().lower() == "none":
        return ()
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    if unknown := [name for name in names if name not in TASKS]:
        raise OptionError(f"--tasks: there is no {unknown[0]!r}.", f"There are: {', '.join(TASKS)}; or none.")
    return names


def _announce(plan: Plan) -> None:
    rows = len(plan.rows)
    lines = [
        f"{plan.title}: {rows} rows, the reference is {plan.reference.name}. Text: {plan.source.said}.",
        *(f"{each.path.name} cannot take part: {each.error}" for each in plan.contenders if each.error),
        *filter(None, [tasks_ahead(plan)]),
    ]
    print("\n".join(map(printable, lines)), file=sys.stderr, flush=True)


@contextmanager
def _interruptible(cancelled: threading.Event) -> Iterator[None]:
    """The first Ctrl-C asks to stop, the second one ends the program."""

    def stop(*_: object) -> None:
        cancelled.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _print(report: Report) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    console.print(terminal_table(report, console.width))
