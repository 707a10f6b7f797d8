"""How long to wait before a request is tried again, if at all: exponential with jitter, or as the remote says"""

import random
import time
from email.utils import parsedate_to_datetime
from typing import Final

from ggufrun.remote_errors import RemoteBusy, RemoteDown, RemoteError

FIRST_S: Final = 0.25
LONGEST_S: Final = 8.0  # that somebody is kept waiting between two tries


def wait_s(attempt: int, error: RemoteError) -> float | None:
    """Seconds before the next try, `attempt` counted from 0; None where it is no use, or not soon enough."""
    if not isinstance(error, RemoteBusy | RemoteDown) or not error.again:
        return None
    wait = FIRST_S * 2**attempt
    if error.retry_s is not None:
        wait = max(wait, float(error.retry_s))
    return wait * random.uniform(1.0, 1.5) if wait <= LONGEST_S else None


def retry_after_s(header: str | None) -> int | None:
    """What a Retry-After header asks for, in whole seconds; None where it is missing or makes no sense."""
    if not header:
        return None
    try:
        return max(0, min(86_400, round(float(header))))
    except (ValueError, OverflowError):
        pass
    try:
        return max(0, min(86_400, round(parsedate_to_datetime(header).timestamp() - time.time())))
    except (ValueError, TypeError, OverflowError):
        return None
