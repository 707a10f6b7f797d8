"""The files of llama.cpp's source that the RPC add-on is made of: out of llama-cpp-python's, as PyPI has it."""

import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final

from ggufrun.errors import EngineError, OptionError

_NEEDED: Final = re.compile(r"(?:^|/)ggml/(include/[\w-]+\.h|src/[\w-]+\.h|src/ggml-rpc/[\w-]+\.(?:cpp|h))$")
_MAIN: Final = PurePosixPath("src/ggml-rpc/ggml-rpc.cpp")
_DOWNLOAD_S: Final = 900
_LARGEST: Final = 4 << 20  # bytes of one file; they have a tenth of that


def fetch(version: str, into: Path) -> Path:
    """llama-cpp-python's source archive of this version, by pip. Raises EngineError."""
    options = ("--no-deps", "--no-binary", "llama-cpp-python", "--disable-pip-version-check", "-d", str(into))
    command = [sys.executable, "-m", "pip", "download", *options, f"llama-cpp-python=={version}"]
    hint = "Give a folder with its source: ggufrun rpc-build --source FOLDER."
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"The source of llama-cpp-python {version} could not be fetched: {error}.", hint) from error
    found = sorted(into.glob("llama_cpp_python-*.tar.gz"))
    if done.returncode or not found:
        lines = [line for line in done.stderr.strip().splitlines() if line.startswith("ERROR")] or ["no reason given"]
        reason = lines[-1].removeprefix("ERROR: ").rstrip(".")
        raise EngineError(f"The source of llama-cpp-python {version} could not be fetched: {reason}.", hint)
    return found[0]


def take(source: Path, into: Path) -> Path:
    """Copy the needed files of a folder or an archive; returns ggml's folder among them. Raises OptionError."""
    try:
        files = _archived(source) if source.is_file() else _lying(source)
        for inner, content in files:
            place = into / inner
            place.parent.mkdir(parents=True, exist_ok=True)
            with content, place.open("wb") as copy:
                shutil.copyfileobj(content, copy)
    except (OSError, tarfile.TarError) as error:
        raise OptionError(f"{source} cannot be read: {error}.", "Give llama-cpp-python's source.") from error
    if not (into / _MAIN).is_file():
        raise OptionError(f"{source} has no ggml-rpc.cpp.", "Give llama-cpp-python's source, or llama.cpp's.")
    return into


def _archived(archive: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            inner = _NEEDED.search(member.name)
            if inner is None or not member.isfile() or member.size > _LARGEST:
                continue
            content = tar.extractfile(member)
            if content is not None:
                yield Path(inner[1]), content


def _lying(folder: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    roots = [folder / "vendor/llama.cpp/ggml", folder / "ggml", folder]
    root = next((each for each in roots if (each / _MAIN).is_file()), None)
    if root is None:
        return
    for pattern in ("include/*.h", "src/*.h", "src/ggml-rpc/*"):
        for path in sorted(root.glob(pattern)):
            if path.suffix in (".h", ".cpp"):
                yield path.relative_to(root), path.open("rb")
