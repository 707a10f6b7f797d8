"""The library as a server asks for it: JSON, for its user and on this machine. `api` says what it wants of it.

What it needs is imported when it is first asked: half a second that a server's start does not wait for.
"""

import os
import threading
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ggufrun.hub_errors import HubError
from ggufrun.settings import EngineOverrides, ModelOverrides

if TYPE_CHECKING:
    from ggufrun.fit.subject import Wishes
    from ggufrun.hub.pull import Progress

Json = dict[str, Any]


class Report(Protocol):
    """Where a pull or a check tells how it goes on, from any thread."""

    def note(self, sentence: str) -> None: ...

    def file(self, name: str, state: str, done: int, size: int) -> None: ...


class Wanted(Protocol):
    """What is to be planned; `gpu` and `ram` as --gpu and --ram have them."""

    @property
    def spec(self) -> str: ...
    @property
    def revision(self) -> str | None: ...
    @property
    def pinned(self) -> ModelOverrides: ...
    @property
    def engine(self) -> EngineOverrides: ...
    @property
    def gpu(self) -> str | None: ...
    @property
    def ram(self) -> str | None: ...
    @property
    def mmproj(self) -> bool: ...


class Library:
    """From any thread; every call stands for itself."""

    def __init__(self) -> None:
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # before huggingface_hub is imported: ranges are plain HTTP

    def local(self) -> list[Json]:
        from ggufrun.library.local import model_json, places

        return [*map(model_json, places().models())]

    def cards(self) -> list[Json]:
        from ggufrun.library.cards import cards_json

        return cards_json()

    def search(self, words: str, limit: int) -> list[Json]:
        from ggufrun.library.searching import found_json, searched

        return [found_json(*each) for each in searched(words, limit)]

    def show(self, wanted: Wanted) -> Json:
        from ggufrun.library.showing import shown_json, shown_of

        return shown_json(shown_of(wanted.spec, wanted.revision, _wishes(wanted), gpu=wanted.gpu, ram=wanted.ram))

    def fit(self, wanted: Wanted) -> Json:
        from ggufrun.library.fitting import Asked, fitted, fitted_json

        asked = Asked(wanted.spec, wanted.revision, _wishes(wanted))
        return fitted_json(fitted(asked, gpu=wanted.gpu, ram=wanted.ram))

    def machine(self) -> Json:
        from ggufrun.library.this_machine import machine_json

        return machine_json()

    def remove(self, name: str, in_use: Collection[str]) -> Json:
        from ggufrun.library.local import removed

        return removed(name, in_use)

    def pull(self, spec: str, revision: str | None, mmproj: bool, report: Report, stop: threading.Event) -> Json:
        """Stopped, it ends with a HubError; while the quant is chosen that may take a while."""
        from ggufrun.hub.pull import pull
        from ggufrun.library.pulling import chosen
        from ggufrun.library.wishes import wishes_for

        found = chosen(spec, revision, wishes_for(spec, {}, {}), mmproj=mmproj, say=report.note)
        for words in found.words:
            report.note(words)
        for each in found.plan.files:
            report.file(each.file.path, "here" if each.here else "coming", each.done, each.file.size)
        path = pull(found.client, found.plan, _told(report), stop)
        return {"name": f"{found.listing.repo}:{found.quant.name}", "path": str(path)}

    def verify(self, names: Sequence[str], report: Report, stop: threading.Event) -> Json:
        """Stopped, it ends with a HubError."""
        from ggufrun.library.local import places
        from ggufrun.library.verifying import Verifying, to_verify
        from ggufrun.store.stored import StoredFile

        def on_bytes(file: StoredFile, done: int) -> None:
            if stop.is_set():
                raise HubError("The check was stopped.")
            report.file(str(file.path), "reading", done, file.size)

        verifying, verdicts = Verifying(on_bytes), []
        for model in to_verify(names, places()):
            verdict = verifying.verdict(model)
            hint = verdict.hint() if verdict.state == "wrong" else ""
            verdicts.append({"name": model.name, "state": verdict.state, "says": verdict.says, "hint": hint})
            report.note(f"{model.name}: {verdict.state}: {verdict.says}")
        return {"data": verdicts}


def _wishes(wanted: Wanted) -> "Wishes":
    """Raises OptionError."""
    from ggufrun.library.wishes import wishes_for

    pinned = wanted.pinned if wanted.mmproj else ModelOverrides(**{**wanted.pinned, "mmproj": "none"})
    return wishes_for(wanted.spec, pinned, wanted.engine)


def _told(report: Report) -> "Callable[[Progress], None]":
    return lambda progress: report.file(progress.file, progress.state, progress.done, progress.size)
