"""`ggufrun stop`: unloads a running server's model, or ends the server."""

import os
import sys
import time
from typing import Final

from ggufrun.commandline.remote import NobodyThere, Remote, named, one_remote
from ggufrun.errors import EngineError
from ggufrun.running import running
from ggufrun.userconfig import data_folder

_UNLOAD_S: Final = 600.0  # requests that run are waited for
_END_S: Final = 20.0


def stop(model: str | None, url: str | None) -> None:
    """Returns when it has happened. Raises EngineError where no server answers, or where it takes too long."""
    server = one_remote(url)
    if model is not None:
        unloaded = server.post(f"{named(model)}/unload", _UNLOAD_S)
        _say(f"{unloaded['name']} is unloaded. The next request for it loads it again.")
        return
    server.post("/stop")
    _wait_for_end(server)
    _say(f"The server at {server.url} has ended.")


def _wait_for_end(server: Remote) -> None:
    """Until the models' memory is free too, where the server runs here: its file is the last thing to go."""
    until = time.monotonic() + _END_S
    while time.monotonic() < until:
        if server.ours and all(each.pid != server.pid for each in running(data_folder(os.environ))):
            return
        try:
            server.get("/server")
        except NobodyThere:
            if not server.ours:
                return
        time.sleep(0.1)
    raise EngineError(f"{server.url} still runs.", "Try again in a moment, or end its process.")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
