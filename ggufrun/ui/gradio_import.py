"""What is set before Gradio is imported: it comes sooner, asks nobody, and does no work that nobody looks at."""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Final

_COMPONENTS: Final = "gradio.component_meta"
_WRITES: Final = "create_or_modify_pyi"
_SETTINGS: Final = {
    "GRADIO_ANALYTICS_ENABLED": "False",  # it asks nobody on the internet
    # After each event it would make a table of the last ten thousand, for a dashboard that is not there.
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**12),
    "GRADIO_ANALYTICS_MAX_EVENTS": "1",
}


def prepare(scratch: Path) -> None:
    """`scratch`: where uploads lie. It has an effect only before the first import of Gradio in this process."""
    os.environ.update(_SETTINGS, GRADIO_TEMP_DIR=str(scratch))
    if not any(isinstance(each, _NoInterfaces) for each in sys.meta_path):
        sys.meta_path.insert(0, _NoInterfaces())


class _NoInterfaces(MetaPathFinder):
    """Gradio reads the source of each component while it is imported, and writes a .pyi file beside it, for editors.

    That is half of the time of its import, and there is no setting for it. Where it is named otherwise, it is done.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != _COMPONENTS:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            if hasattr(module, _WRITES):
                setattr(module, _WRITES, lambda *_: None)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # of this one module's loader
        return spec
