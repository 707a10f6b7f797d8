"""What a model sees with (mmproj): the file that ggufrun.toml names, or those beside the model, each checked."""

import os
from pathlib import Path

from ggufrun.doctor.file_check import check_projector
from ggufrun.doctor.finding import Finding
from ggufrun.errors import InputError, ModelFileError
from ggufrun.store.projectors import NONE, projector_for, projectors_beside
from ggufrun.store.resolve import ResolvedModel
from ggufrun.userconfig import FILE_NAME, data_folder, load_user_settings


def check_projectors(found: ResolvedModel) -> tuple[list[Finding], list[Path]]:
    """The findings, and the files that are meant."""
    try:
        named = _named(found)
        projector = projector_for(found, named)
    except ModelFileError as error:
        hint = f"Correct mmproj in {FILE_NAME}. {error.hint}"
        return [Finding("mmproj", "fault", f"{error.path.name}: {error.reason}.", hint)], []
    except InputError as error:
        return [Finding("settings", "fault", error.message, error.hint)], []
    if named == NONE:
        says = f"{FILE_NAME} says that it is to see no images."
        return [Finding("mmproj", "note", says, f'Take mmproj = "{NONE}" out for those.')], []
    meant = [projector.header.path] if projector.header is not None else projectors_beside(found)
    checked = [check_projector(path, found.header, found.card) for path in meant]
    if projector.note and all(finding.level == "ok" for finding in checked):  # sound, and perhaps another model's
        checked = [Finding("mmproj", "warning", f"{projector.note}.", f"Name it with --mmproj, or in {FILE_NAME}.")]
    return checked, meant


def _named(found: ResolvedModel) -> str | None:
    """What the user's settings say, by any of the model's names. Raises OptionError."""
    settings = load_user_settings(data_folder(os.environ) / FILE_NAME)
    named: str | None = settings.for_model(found.name, found.card.aliases if found.card else ()).model.get("mmproj")
    return named
