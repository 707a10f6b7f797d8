"""Asks the process that quantizes (`ggufrun.llama.quantizer`), and makes errors of its end"""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Self

from ggufrun.child import child_environment, last_words
from ggufrun.errors import GgufrunError, InputError, ModelFileError, OutOfMemory

MODULE: Final = "ggufrun.llama.quantizer"
_TAIL: Final = 8192  # bytes of its standard error that are looked at

Json = dict[str, Any]


class Quantizer:
    """One child. Its end, and what it had half written with it, comes with this object's, however that comes."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed with this object)
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-m", MODULE],  # -P: the current directory is the user's
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
            env=child_environment() | {"GGML_NO_BACKTRACE": "1"},  # an abort would start gdb, which may hang
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._popen.kill()
        self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout, self._errors):
            if stream is not None:
                with suppress(OSError):  # what was still to be written
                    stream.close()

    def ask(self, question: Json, on_tensor: Callable[[str], None] | None = None) -> Json:
        """Its answer; `on_tensor` hears the name of each tensor when it is begun. Raises InputError or GgufrunError."""
        stdin, stdout = self._popen.stdin, self._popen.stdout
        assert stdin is not None and stdout is not None  # both are pipes
        try:
            stdin.write(json.dumps(question) + "\n")
            stdin.flush()
        except OSError:
            raise self._ending() from None
        for line in stdout:
            answer: Json = json.loads(line)
            if "error" in answer:
                raise _error(answer["error"])
            if "ok" in answer:
                found: Json = answer["ok"]
                return found
            if on_tensor is not None:
                on_tensor(answer["begun"])
        raise self._ending()

    def _ending(self) -> GgufrunError:
        code = self._popen.wait()
        self._errors.seek(max(0, self._errors.seek(0, 2) - _TAIL))
        said = self._errors.read().decode("utf-8", "replace")
        if sys.platform != "win32" and code == -signal.SIGKILL:
            return OutOfMemory(
                "The quantizing process was killed: there was too little memory.", "Close other programs."
            )
        return GgufrunError(
            f"The quantizing process ended with code {code}{last_words(said)}.", "Try another quant, or another file."
        )


def _error(raw: Json) -> GgufrunError:
    if raw["type"] == "ModelFileError":
        return ModelFileError(raw["path"], raw["reason"], raw["hint"])
    kinds: dict[str, type[GgufrunError]] = {"OutOfMemory": OutOfMemory, "InputError": InputError}
    return kinds.get(raw["type"], GgufrunError)(raw["message"], raw["hint"])
