"""Which of this machine's models are served: files on its disks and served models are joined by their paths.

Names do not tell: a server's own may differ, and two repositories may have files of one name.
"""

from collections.abc import Sequence
from typing import Any, Final

from ggufrun.ui.client import Api
from ggufrun.ui.errors import ApiError

Json = dict[str, Any]
SERVED: Final = "/ggufrun/v1/models"


def served_as(model: Json, served: Sequence[Json]) -> Json | None:
    """`model`: one of /library/local; `served`: those of /ggufrun/v1/models, of which it is which?"""
    if model["partial"] is not None:
        return None
    return next((each for each in served if each.get("path") and each["path"] in model["files"]), None)


def not_served(local: Sequence[Json], served: Sequence[Json]) -> list[Json]:
    """Those of /library/local that could be served: whole ones that are not yet."""
    return [each for each in local if each["partial"] is None and served_as(each, served) is None]


async def serve(api: Api, spec: str) -> str:
    """Its name from now on; where another tab was first, the name that it has there. Raises ApiError."""
    try:
        return str((await api.post(SERVED, {"spec": spec}))["name"])
    except ApiError as error:
        if error.served_as:
            return error.served_as
        raise
