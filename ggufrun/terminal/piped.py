"""Where a one-shot prompt comes from: the argument, piped standard input, or both."""

import threading
from typing import TextIO

from ggufrun.errors import EmptyPrompt, OptionError

PATIENCE_S = 3.0


def one_prompt(prompt: str | None, stdin: TextIO | None, stderr: TextIO) -> str | None:
    """The prompt of a one-shot answer, or None where a chat is wanted (no PROMPT, and standard input is a terminal).

    With a PROMPT, piped text follows it as context, after a blank line. Raises `EmptyPrompt`.
    """
    if stdin is None or stdin.isatty():
        if prompt is None and stdin is not None:
            return None
        piped = ""
    else:
        piped = _read(stdin, stderr, waiting=prompt is not None)
    text = "\n\n".join(part for part in (prompt or "", piped.rstrip("\n")) if part.strip())
    if not text:
        raise EmptyPrompt()
    return encodable(text, "PROMPT")


def encodable(text: str, name: str) -> str:
    """The text, unless it holds bytes that are not UTF-8 (Python's lone surrogates)."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise OptionError(f"{name} is not UTF-8 text.", "Convert it to UTF-8.") from error
    return text


def _read(stdin: TextIO, stderr: TextIO, *, waiting: bool) -> str:
    """All of standard input. Says so after a while if a PROMPT was given: the caller may have left a pipe open."""
    notice = threading.Timer(PATIENCE_S, _say_waiting, (stderr,))
    notice.daemon = True
    if waiting:
        notice.start()
    try:
        return stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise OptionError("Standard input is not UTF-8 text.", "Convert it to UTF-8.") from error
    finally:
        notice.cancel()


def _say_waiting(stderr: TextIO) -> None:
    print("ggufrun: waiting for the end of standard input (add < /dev/null if none is meant)", file=stderr, flush=True)
