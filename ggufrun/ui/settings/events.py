"""How the settings' events are listened to."""

from typing import Any, Final

# Through the queue: what is changed beside it tells nobody (see `shared`), and errors there are the browser's, too.
TOLD: Final[dict[str, Any]] = {"concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private"}
