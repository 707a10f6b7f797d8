"""`ggufrun serve`: loads the model and hands it to the HTTP server."""

import asyncio

from ggufrun.api.server import serve as serve_http
from ggufrun.commandline.flags import EngineFlags, LoadFlags
from ggufrun.commandline.opening import opened


def serve(model: str, address: tuple[str, int], engine: EngineFlags, load: LoadFlags, *, ui: bool) -> None:
    """Serve the model on `address` (host, port) until SIGINT or SIGTERM. Raises `GgufrunError`."""
    overrides, settings = load.overrides(), engine.overrides()

    async def main() -> None:
        async with opened(model, overrides, settings, load.chat_template) as loaded:
            await serve_http(loaded, host=address[0], port=address[1], ui=ui)

    asyncio.run(main())
