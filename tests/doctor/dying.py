"""A process's main that ends as it is told: by a signal, with an error in words, or never."""

import os
import sys
import time

from ggufrun.doctor.asking import answer, refuse
from ggufrun.errors import ModelFileError

if __name__ == "__main__":
    match sys.argv[1]:
        case "answer":
            print("something that a library prints")
            answer({"value": 3})
        case "refuse":
            refuse(ModelFileError("a.gguf", "it is broken", "Mend it."))
        case "hang":
            time.sleep(60)
        case number:
            print("GGML_ASSERT(x) failed", file=sys.stderr, flush=True)
            os.kill(os.getpid(), int(number))
