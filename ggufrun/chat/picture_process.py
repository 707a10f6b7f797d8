"""Opens a large picture in a process of its own: `picture_worker`, which sends back the pixels that a model sees.

Pillow takes and gives back the memory of a picture, and copies WebP's, while it keeps all other threads from running:
at 80 million pixels that is up to 0.3 s, in which no stream of the server would go on.
"""

import json
import subprocess
import sys
from typing import Any, Final

from ggufrun.chat.vision import Vision
from ggufrun.child import child_environment

LARGE: Final = 16_000_000  # pixels of a file: less takes as long as the process needs to start
BROKEN: Final = 3  # how the worker ends for what Pillow cannot read
TIME_S: Final = 120.0
_ALONE: Final = {"OPENBLAS_NUM_THREADS": "1"}


class NotSeen(Exception):
    """The picture cannot be read, or there is no memory or time for it."""


def seen_apart(data: bytes, format: str, vision: Vision) -> tuple[dict[str, Any], bytes]:
    """The fields of a `Picture` without its pixels, and those. Blocking. Raises NotSeen."""
    asked = {"format": format, "patch": vision.patch, "longest": vision.longest, "merge": vision.merge}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "ggufrun.chat.picture_worker"],
            input=json.dumps(asked).encode() + b"\n" + data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**child_environment(), **_ALONE},
            timeout=TIME_S,
        )
    except subprocess.TimeoutExpired as error:
        raise NotSeen(f"takes more than {TIME_S:g} s to open") from error
    except OSError as error:
        raise NotSeen("cannot be opened now: the system gives no process for it") from error
    if done.returncode == BROKEN:
        raise NotSeen(f"is broken and cannot be read as {format}")
    if done.returncode != 0:
        raise NotSeen(f"cannot be opened: its process ended with status {done.returncode}, maybe for want of memory")
    head, _, pixels = done.stdout.partition(b"\n")
    return json.loads(head), pixels
