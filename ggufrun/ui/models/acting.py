"""Does what the tab's buttons say with the models of this machine, their pulls and their checks."""

from typing import Any, Final
from urllib.parse import quote

from ggufrun.figures import gb
from ggufrun.ui.client import Api
from ggufrun.ui.errors import say
from ggufrun.ui.models.visit import Visit
from ggufrun.ui.models.watching import LIBRARY
from ggufrun.ui.served_here import SERVED, serve

Json = dict[str, Any]

CHANGING: Final = ("unserve", "delete")  # what is served, or here. Of what is loaded the picker tells
_LOAD_S: Final = 3600.0  # a large model from a slow disk


async def done(asked: Json, visit: Visit, api: Api) -> str | None:
    """The name of the model that is to be used in the chat now; None: as it was. Raises ApiError.

    `asked`: what the browser tells of a click; see models.js.
    """
    act, name = asked.get("act"), str(asked.get("name") or "")
    try:
        if act == "use":
            say(f"{name} answers in the chat from now on.", "Chosen")
            return name
        if act == "load":
            return await _load(name, str(asked.get("served") or ""), visit, api)
        if act == "unserve":
            await api.delete(f"{SERVED}/{_path(name)}")
        elif act == "verify":
            await api.post(f"{LIBRARY}/verify", {"names": [name]})
        elif act == "delete":
            freed = (await api.delete(f"{LIBRARY}/local/{_path(name)}"))["freed_bytes"]
            say(f"{name} is deleted: {gb(freed)} are free again.", "Deleted")
        elif act == "pull":
            mmproj = bool(asked.get("mmproj", "on"))
            await api.post(f"{LIBRARY}/pulls", {"spec": str(asked.get("spec") or ""), "mmproj": mmproj})
        elif act == "halt":
            kind = "verify" if asked.get("kind") == "verify" else "pulls"
            await api.delete(f"{LIBRARY}/{kind}/{_path(str(asked.get('id') or ''))}")
    finally:
        visit.wake.set()  # it is looked at now, not in some seconds
    return None


async def _load(name: str, served: str, visit: Visit, api: Api) -> str | None:
    """Serve it if it is not, and load it. How far that is, whoever watches sees. None: it does not chat."""
    served = served or await serve(api, name)
    visit.wake.set()
    loaded = await api.post(f"{SERVED}/{_path(served)}/load", timeout_s=_LOAD_S)
    if not loaded.get("completion_chat", True):
        say(f"{served} is loaded. It makes embeddings and does not chat.", "Loaded")
        return None
    say(f"{served} is loaded, and answers in the chat from now on.", "Loaded")
    return served


def _path(name: str) -> str:
    return quote(name, safe="/:")
