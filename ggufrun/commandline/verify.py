"""`ggufrun verify`: reads files whole and compares their checksum with what the hub or Ollama calls them by."""

import sys
from collections.abc import Sequence
from pathlib import Path

from ggufrun.commandline.table import printable
from ggufrun.errors import GgufrunError
from ggufrun.library.local import places
from ggufrun.library.verifying import Verdict, Verifying, to_verify
from ggufrun.store.removing import remove_damaged
from ggufrun.store.stored import StoredFile
from ggufrun.terminal.progress import ProgressLine


def verify(names: Sequence[str], *, mend: bool = False) -> None:
    """Prints a line a model. Raises GgufrunError at the end where one is wrong, InputError for an unknown name.

    `mend`: of what lies in the Hugging Face cache, files with wrong bytes are deleted, each alone.
    """
    wrong = [verdict for verdict in _verdicts(names) if verdict.state == "wrong"]
    if not wrong:
        return
    if mend:
        _delete(wrong)
    hints, told = [], set[Path]()
    for verdict in wrong:
        paths = {file.path for file in verdict.files}
        if not paths or paths - told:  # of a file that several models share once
            hints.append(verdict.hint(mended=mend))
        told |= paths
    count = "One model is" if len(wrong) == 1 else f"{len(wrong)} models are"
    raise GgufrunError(f"{count} damaged.", " ".join(hints))


def _verdicts(names: Sequence[str]) -> list[Verdict]:
    line = ProgressLine(sys.stderr, sys.stderr.isatty())

    def show(file: StoredFile, done: int) -> None:
        line.show(done / (file.size or 1), file.path.name)

    verifying, verdicts = Verifying(show), []
    for model in to_verify(names, places(), paths=True):
        try:
            verdicts.append(verifying.verdict(model))
        finally:
            line.clear()
        print(printable(f"{model.name}: {_shown(verdicts[-1])}"))
    return verdicts


def _shown(verdict: Verdict) -> str:
    says = {"right": f"right ({verdict.says})", "wrong": f"WRONG: {verdict.says}", "partial": verdict.says}
    return says[verdict.state]


def _delete(wrong: Sequence[Verdict]) -> None:
    from ggufrun.hub.lock import held_now  # late: what it imports takes 0.2 s

    gone = set()
    for model, file in [(each.model, file) for each in wrong if each.model.source == "hub" for file in each.files]:
        if file.path not in gone:
            gone.add(file.path)
            remove_damaged(model, file, held_now)
            print(printable(f"Deleted {file.path.name} of {model.name}."))
