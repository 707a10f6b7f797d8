"""The process that opens one large picture: `python -m ggufrun.chat.picture_worker`, for `picture_process`.

Reads a line of JSON and the file from standard input, writes a line of JSON and the pixels to standard output.
"""

import json
import sys
from dataclasses import fields

from ggufrun.chat.picture_process import BROKEN
from ggufrun.chat.pictures import seen_here
from ggufrun.chat.vision import Vision


def main() -> int:
    asked = json.loads(sys.stdin.buffer.readline())
    vision = Vision(asked["patch"], asked["longest"], asked["merge"])
    data = sys.stdin.buffer.read()
    try:
        picture = seen_here(data, asked["format"], vision)
    except MemoryError:
        raise
    except Exception:  # a broken file can raise anything in Pillow: OSError, SyntaxError, struct's own
        return BROKEN
    told = {each.name: getattr(picture, each.name) for each in fields(picture) if each.name != "pixels"}
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n" + picture.pixels)
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
