"""Gradio as it is imported for the page: in a process of its own, as it is imported once in each."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.program import ROOT

_CODE: Final = """
import sys
from pathlib import Path
written = []
sys.addaudithook(lambda event, args: event == "open" and written.append((str(args[0]), str(args[1]))))
from ggufrun.ui.gradio_import import prepare
for _ in range(2):
    prepare(Path(sys.argv[1]))
import gradio
from gradio import component_meta
touched = [path for path, mode in written if path.endswith(".pyi")]
assert not touched, touched
assert component_meta.create_or_modify_pyi.__module__ == "ggufrun.ui.gradio_import", "Gradio names it otherwise"
with gradio.Blocks() as page:
    gradio.Textbox().submit(str)
queue = page._queue
assert queue.ANALYTICS_MAX_EVENTS == 1 and queue.ANAYLTICS_CACHE_FREQUENCY > 10**9
assert gradio.utils.get_upload_folder() == sys.argv[1]
"""


def test_it_writes_nothing_for_editors_and_counts_nothing(tmp_path: Path) -> None:
    line = [sys.executable, "-c", _CODE, str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr
