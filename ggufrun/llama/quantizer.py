"""The process that quantizes, `python -m ggufrun.llama.quantizer`: a line of JSON asks, lines of JSON answer

An abort of llama.cpp ends it: `quantizing.process` starts it, and makes errors of its end. Without "out" nothing is
written, and the answer says what would be: the types in capitals, and those meant where a row's length forbids them.

    {"source": "a.gguf", "file_type": 15, "imatrix": null, "told": {}, "threads": 0, "out": "a-Q4_K_M.gguf.part"}
    {"begun": "blk.0.attn_q.weight"}
    {"ok": {"types": {"blk.0.attn_q.weight": "Q4_K"}, "fallbacks": {}, "needs_imatrix": false}}
"""

import ctypes
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from llama_cpp import llama_cpp as ll

from ggufrun.errors import GgufrunError, InputError, ModelFileError, OutOfMemory
from ggufrun.llama import failures, hardware, library
from ggufrun.weights.imatrix import Imatrix, read_imatrix

BUFFER: Final = 1 << 30  # bytes of rows at once; llama.cpp's own 8 GiB are more than many machines have

_WARN, _ERROR = 3, 4  # ggml_log_level
_BEGUN: Final = re.compile(r"\[ *\d+/ *\d+\] (\S+)")
_DONE: Final = re.compile(r"^\[ *\d+/ *\d+\] (\S+) +- \[.*?\], type = *(\w+), size = .*?(?: MiB \((\w+)\))?$", re.M)
_FELL: Final = re.compile(r"^warning: (\S+) .*required for type +(\w+)\).*-> falling back to", re.M)
_FAILED: Final = re.compile(r"failed to quantize: *")
_MEMORY: Final = re.compile(r"bad_alloc|out of memory|(?:failed|unable) to allocate", re.I)
_STRING, _INTEGER = 3, 0  # llama_model_kv_override_type

Json = dict[str, Any]


class _Log:
    """Hears llama.cpp, which tells of its progress, and of what it decided, in no other way."""

    def __init__(self, on_tensor: Callable[[str], None]) -> None:
        self._on_tensor = on_tensor
        self._parts: list[str] = []
        self.errors: list[str] = []
        self.callback = ll.llama_log_callback(self._receive)  # a collected callback crashes the process
        library.start()
        ll.llama_log_set(self.callback, None)

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def _receive(self, level: int, raw: bytes | None, _: object) -> None:
        text = (raw or b"").decode("utf-8", "replace")
        self._parts.append(text)
        if level in (_WARN, _ERROR):
            self.errors.append(text.strip())
        if begun := _BEGUN.match(text):
            self._on_tensor(begun[1])


def quantize(question: Json, say: Callable[[Json], None]) -> Json:
    """What is decided about each tensor, where nothing is written; else `{}`, once it is. Raises InputError."""
    parameters = ll.llama_model_quantize_default_params()
    parameters.ftype = question["file_type"]
    parameters.nthread = question["threads"] or hardware.physical_cores()
    parameters.allow_requantize = True  # who asks has been told what that costs
    parameters.max_buf_size = BUFFER
    parameters.dry_run = question["out"] is None
    keep: Any = None
    if question["imatrix"] is not None:
        keep = _give(parameters, _imatrix(Path(question["imatrix"])), question["told"])
    log = _Log(lambda name: say({"begun": name}))
    source, out = os.fsencode(question["source"]), os.fsencode(question["out"] or os.devnull)
    failed = ll.llama_model_quantize(source, out, ctypes.byref(parameters))
    del keep  # what the parameters point to
    if failed:
        raise _failure(Path(question["source"]), log.errors)
    if question["out"] is not None:
        return {}
    return {
        "types": {name: (new or old).upper() for name, old, new in _DONE.findall(log.text)},
        "fallbacks": {name: wanted.upper() for name, wanted in _FELL.findall(log.text)},
        "needs_imatrix": "will require an imatrix" in log.text,
    }


def _failure(path: Path, lines: list[str]) -> InputError:
    reason = _FAILED.sub("", failures.reason(lines))
    if _MEMORY.search(reason):
        return OutOfMemory(f"There is too little memory to quantize {path}.", "Close other programs.")
    if "iostream" in reason:
        return InputError("The file cannot be written.", "The disk is full, or the system allows no larger file.")
    if "Missing importance matrix for tensor" in reason or "requires an imatrix" in reason:
        hint = "Give a whole one (--imatrix FILE), or choose a quant with more bits."
        return InputError(f"The importance matrix does not cover the model: {reason}.", hint)
    return ModelFileError(path, f"llama.cpp cannot quantize it: {reason}", "Check the file, or choose another quant.")


@cache
def _imatrix(path: Path) -> Imatrix:
    return read_imatrix(path)


def _give(parameters: Any, matrix: Imatrix, told: Mapping[str, str | int]) -> object:
    """Point the parameters to the matrix, and to the keys that tell of it, as llama.cpp's own structs.

    An empty one ends each array. Returns what owns them.
    """
    rows = (ll.llama_model_imatrix_data * (len(matrix.entries) + 1))()
    for row, (name, values) in zip(rows, matrix.entries.items(), strict=False):
        row.name, row.size = name.encode(), values.size
        row.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    keys = (ll.llama_model_kv_override * (len(told) + 1))()
    for key, (name, value) in zip(keys, told.items(), strict=False):
        key.key = name.encode()
        if isinstance(value, str):
            key.tag, key.value.val_str = _STRING, value.encode()
        else:
            key.tag, key.value.val_i64 = _INTEGER, value
    parameters.imatrix, parameters.kv_overrides = rows, keys
    return rows, keys, matrix


def _error(error: GgufrunError) -> Json:
    about: Json = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
    if isinstance(error, ModelFileError):
        about |= {"path": str(error.path), "reason": error.reason}
    return about


class _Parent:
    """Its lines. Its end ends this process at once, whatever native code is doing, and what is half written goes."""

    def __init__(self) -> None:
        self._lines: SimpleQueue[str] = SimpleQueue()
        self._written: Path | None = None  # once it is whole the parent has given it another name
        threading.Thread(target=self._read, args=(os.dup(0),), name="parent", daemon=True).start()

    def question(self) -> Json:
        question: Json = json.loads(self._lines.get())
        self._written = Path(question["out"]) if question["out"] is not None else None
        return question

    def _read(self, file: int) -> None:
        with open(file, encoding="utf-8") as stream:
            for line in stream:
                self._lines.put(line)
        if self._written is not None:
            with suppress(OSError):
                self._written.unlink(missing_ok=True)
        os._exit(0)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what others print to standard output is no answer

    def say(answer: Json) -> None:
        out.write(json.dumps(answer) + "\n")
        out.flush()

    parent = _Parent()
    while True:
        try:
            say({"ok": quantize(parent.question(), say)})
        except GgufrunError as error:
            say({"error": _error(error)})


if __name__ == "__main__":
    main()
