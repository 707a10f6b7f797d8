"""The process that measures, `python -m ggufrun.llama.probe`: a line of JSON asks, a line of JSON answers.

It goes through a real load's own steps and allocates nothing, so what it says is what a load would take. It keeps the
last model for more contexts. An abort of llama.cpp ends it: `fit.probe` starts it, and makes errors of its end.

    {"do": "measure", "settings": {"path": "a.gguf", "context": 4096}, "engine": {}}
    {"do": "devices"}
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

from llama_cpp import llama_cpp as ll

from ggufrun.errors import GgufrunError, ModelFileError
from ggufrun.llama import hardware
from ggufrun.llama.breakdown import breakdown
from ggufrun.llama.context import ContextPlan, open_context
from ggufrun.llama.devices import devices
from ggufrun.llama.embedder import embedding_plan
from ggufrun.llama.failures import check_file
from ggufrun.llama.model import Model
from ggufrun.llama.pooling import makes_embeddings
from ggufrun.settings import EngineSettings, LoraSpec, ModelOverrides, ModelSettings
from ggufrun.weights.header import Header, read_header

RAM: Final = "RAM"
LAST_WORDS_S: Final = 30.0  # what was asked is answered in this time after the last line, or not at all

_NOT_WEIGHTS: Final = ModelOverrides(
    context=None, threads=None, kv_type="f16", flash_attention="auto", mmap=False, mlock=False, loras=(), mmproj=None
)

Json = dict[str, Any]


class Prober:
    """Answers questions. One model is laid out at a time."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._key: object = None  # of the model
        self._seen: dict[object, Header] = {}  # the files that were checked, and whose vocabularies were loaded

    def answer(self, question: Json) -> Json:
        """`{"ok": ...}` or `{"error": ...}`; raises nothing."""
        try:
            ask: dict[str, Callable[[Json], Any]] = {"measure": self._measure, "devices": _devices}
            return {"ok": ask[question["do"]](question)}
        except GgufrunError as error:
            return {"error": _error(error)}
        except Exception as error:  # where this question ends; the parent makes formulas do
            return {"error": {"type": "CannotMeasure", "why": f"{type(error).__name__}: {error}"}}

    def _measure(self, question: Json) -> Json:
        settings = settings_of(question["settings"])
        engine = EngineSettings(**{**question.get("engine", {}), "disk_cache": None})
        model = self._lay_out(settings)
        embeds = makes_embeddings(model.metadata)
        plan = embedding_plan(model, settings) if embeds else ContextPlan.make(model, settings, engine)
        amounts = _measured(model, plan)
        for spec in settings.loras:
            _add_adapter(amounts, spec)
        return {
            "devices": amounts,
            "context": plan.context,
            "batch": plan.batch,
            "ubatch": plan.ubatch,
            "sequences": plan.sequences,
        }

    def _lay_out(self, settings: ModelSettings) -> Model:
        """The model; that of the last question where nothing that decides where its weights lie has changed."""
        file, key = _file(settings.path), replace(settings, **_NOT_WEIGHTS)
        if self._model is not None and (file, key) == self._key:
            return self._model
        if self._model is not None:
            self._model.close()
            self._model = None
        # A vocabulary takes most of the time, and changes no size. It is loaded once, to see whether it can be.
        seen = self._seen.get(file)
        header = seen or check_file(settings.path)[0]
        self._model = _without_vocabulary(settings, header) if seen else None
        self._model = self._model or Model.lay_out(settings, header)
        self._key, self._seen[file] = (file, key), header
        return self._model


def _file(path: Path) -> object:
    status = path.stat() if path.is_file() else None
    return path, status and (status.st_size, status.st_mtime_ns, status.st_ino)


def _without_vocabulary(settings: ModelSettings, header: Header) -> Model | None:
    try:
        return Model.lay_out(settings, header, vocabulary=False)
    except GgufrunError:
        return None


def _measured(model: Model, plan: ContextPlan) -> dict[str, dict[str, int]]:
    context = open_context(model, plan)
    try:
        found = breakdown(context)
    finally:
        ll.llama_free(context)
    amounts: dict[str, dict[str, int]] = {RAM: {"weights": 0, "kv": 0, "compute": 0}}
    for buffers in found:
        amount = amounts.setdefault(buffers.device or RAM, {"weights": 0, "kv": 0, "compute": 0})
        for name in amount:
            amount[name] += getattr(buffers, name)
    return amounts


def _add_adapter(amounts: dict[str, dict[str, int]], spec: LoraSpec) -> None:
    """An adapter's tensors lie beside those that they change: shared out as the weights are, nearly."""
    size = sum(tensor.size or 0 for tensor in read_header(spec.path).tensors)
    weights = sum(amount["weights"] for amount in amounts.values())
    for amount in amounts.values():
        amount["weights"] += size * amount["weights"] // max(1, weights)


def _devices(_: Json) -> list[Json]:
    """ggml's devices with memory. The processor's is what this process may have of the machine's."""
    found = []
    for device in devices():
        row = {key: value for key, value in asdict(device).items() if key != "handle"}
        if device.is_cpu:
            row |= {"free": hardware.available_memory(), "total": hardware.total_memory()}
        if row["total"]:  # libraries for faster products are devices too, and have none
            found.append(row)
    return found


def settings_of(raw: Json) -> ModelSettings:
    """ModelSettings out of JSON, whose lists are its tuples."""
    values: Json = {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}
    values["path"] = Path(raw["path"])
    values["loras"] = tuple(LoraSpec(Path(lora["path"]), lora["scale"]) for lora in raw.get("loras", ()))
    return ModelSettings(**values)


def _error(error: GgufrunError) -> Json:
    about = {"type": type(error).__name__, "message": error.message, "hint": error.hint}
    if isinstance(error, ModelFileError):
        about |= {"path": str(error.path), "reason": error.reason}
    return about | ({"why": why} if (why := getattr(error, "why", "")) else {})


def _questions(file: int) -> Iterator[str]:
    """Lines from the parent, read by a thread: its end ends this process too, whatever native code is doing."""
    lines: SimpleQueue[str | None] = SimpleQueue()

    def read() -> None:
        with open(file, encoding="utf-8") as stream:
            for line in stream:
                lines.put(line)
        lines.put(None)
        time.sleep(LAST_WORDS_S)
        os._exit(1)

    threading.Thread(target=read, name="questions", daemon=True).start()
    while (line := lines.get()) is not None:
        yield line


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what others print to standard output is no answer
    prober = Prober()
    for line in _questions(sys.stdin.fileno()):
        out.write(json.dumps(prober.answer(json.loads(line))) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
