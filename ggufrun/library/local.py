"""The models on this machine as JSON, and deleting one. Nothing is read of their files."""

import os
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from ggufrun.errors import OptionError
from ggufrun.store.find import named
from ggufrun.store.places import Places
from ggufrun.store.removing import check_removable, remove
from ggufrun.store.stored import StoredModel
from ggufrun.weights.folders import data_folder


def places() -> Places:
    """This user's. Raises OptionError for a faulty card."""
    return Places.here(os.environ, data_folder(os.environ))


def model_json(model: StoredModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "quant": model.quant or None,
        "bytes": model.size,
        "source": model.source,
        "card": model.card.name if model.card else None,
        "partial": {"bytes": model.partial[0], "of": model.partial[1] or None} if model.partial else None,
        "modified": datetime.fromtimestamp(model.modified, UTC).isoformat(timespec="seconds"),
        "files": [str(file.path) for file in model.files],
        "projectors": [str(file.path) for file in model.projectors],
    }


def removed(name: str, in_use: Collection[str]) -> dict[str, Any]:
    """Delete a model's files. `in_use`: paths of files that are not to go.

    Raises ModelNotFound, OptionError, and InputError while a file of it is being fetched.
    """
    model = named(name, places())
    check_removable(model)
    served = {os.path.realpath(path) for path in in_use}
    if used := sorted(file.path.name for file in model.files if os.path.realpath(file.path) in served):
        raise OptionError(
            f"{used[0]} is served now.", "Take it out of the server first: DELETE /ggufrun/v1/models/NAME."
        )
    from ggufrun.hub.lock import held_now  # late: what it imports takes 0.2 s

    return {"name": model.name, "freed_bytes": remove(model, held_now)}
