"""Turns what ends a command into one line on standard error and an exit code.

0 fine, 1 the engine or the machine failed, 2 the input cannot be served, 130 Ctrl-C.
"""

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from ggufrun.commandline.table import printable
from ggufrun.errors import GgufrunError, InputError


@contextmanager
def exit_codes(*, debug: bool) -> Iterator[None]:
    """Run a command's body; `debug` shows the traceback of what went wrong."""
    try:
        yield
        _flush()
    except BrokenPipeError as error:
        _drop_stdout()
        raise typer.Exit(0) from error  # whoever reads us has seen enough (head)
    except KeyboardInterrupt as error:
        raise typer.Exit(130) from error
    except typer.Exit:
        raise
    except Exception as error:  # the process ends here: one line, whatever it was
        if debug:
            traceback.print_exc()
        print_error(_sentence(error))
        raise typer.Exit(2 if isinstance(error, InputError) else 1) from error


def print_error(text: str) -> None:
    """One line on standard error, without escape codes: files and servers have words in it."""
    if sys.stderr is not None:
        line = " ".join(text.split()).encode("utf-8", "backslashreplace").decode("utf-8")
        print(f"ggufrun: {printable(line)}", file=sys.stderr, flush=True)


def _sentence(error: Exception) -> str:
    if isinstance(error, GgufrunError):
        return str(error)
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror or error}. Make room, or check the rights; --debug shows where."
    return f"Internal error, {type(error).__name__}: {error}. Please report it with what --debug shows."


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _drop_stdout() -> None:
    """Let the interpreter's last flush go nowhere instead of complaining about the closed pipe."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return
