"""Makes the RPC add-on: two files of llama.cpp, compiled against the ggml that is installed, and kept."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ggufrun.errors import EngineError, OptionError
from ggufrun.llama import rpc_library
from ggufrun.rpc import source

_COMPILERS: Final = ("c++", "g++", "clang++")
_COMPILE_S: Final = 600
_DEFINES: Final = ("GGML_BACKEND_SHARED", "GGML_BACKEND_BUILD", "GGML_SHARED", "GGML_BACKEND_DL")
_GETTING: Final = {
    "apt-get": "sudo apt-get install g++",
    "dnf": "sudo dnf install gcc-c++",
    "pacman": "sudo pacman -S gcc",
    "zypper": "sudo zypper install gcc-c++",
    "apk": "apk add g++ linux-headers",
}


@dataclass(frozen=True, slots=True)
class Built:
    """`path` None: the build has RPC of its own. `seconds` None: it was there."""

    path: Path | None
    seconds: float | None = None


def build(given: Path | None = None, *, again: bool = False) -> Built:
    """The add-on for this llama.cpp; made where it is not there. `given`: its source, else it is fetched.

    Raises OptionError where it cannot be made here, and EngineError where fetching or compiling fails.
    """
    if rpc_library.is_built_in():
        return Built(None)
    folder = rpc_library.folder()
    target = folder / rpc_library.file_name()
    if rpc_library.is_there() and not again:
        return Built(target)
    begun = time.monotonic()
    compiler = compiler_here()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="making-") as work:
        here = Path(work)
        archive = given or source.fetch(rpc_library.version().partition("+")[0], here)
        ggml = source.take(archive, here / "ggml")
        made = _compiled(compiler, ggml, here / "made")
        _put(made, folder)
    return Built(target, time.monotonic() - begun)


def compiler_here() -> list[str]:
    """The C++ compiler's command. Raises OptionError with how to get one."""
    if sys.platform == "win32":
        hint = "Use WSL, or install llama-cpp-python compiled with CMAKE_ARGS=-DGGML_RPC=ON."
        raise OptionError("The RPC add-on is not made on Windows.", hint)
    named = shlex.split(os.environ.get("CXX", ""))
    if named and shutil.which(named[0]):
        return named
    found = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if found is None:
        ways = (how for manager, how in _GETTING.items() if shutil.which(manager))
        how = "xcode-select --install" if sys.platform == "darwin" else next(ways, "a C++17 compiler such as g++")
        raise OptionError("The RPC add-on has to be compiled and there is no C++ compiler.", f"First: {how}")
    return [found]


def _compiled(compiler: list[str], ggml: Path, into: Path) -> Path:
    """The add-on and what is known of it, in a folder."""
    into.mkdir()
    protocol = rpc_library.protocol_in((ggml / "include/ggml-rpc.h").read_text("utf-8"))
    if protocol is None:
        raise OptionError("The source does not say which RPC protocol it speaks.", "Give llama-cpp-python's source.")
    base = rpc_library.base_library()
    rpath = ["-Wl,-rpath," + str(base.parent)] if sys.platform == "darwin" else []  # on Linux it is open by its name
    command = [
        *compiler, "-O2", "-std=c++17", "-shared", "-fPIC", *(f"-D{name}" for name in _DEFINES),
        "-Iinclude", "-Isrc", "src/ggml-rpc/ggml-rpc.cpp", "src/ggml-rpc/transport.cpp",  # its aborts name these
        str(base), *rpath, "-lpthread", "-o", str(into / rpc_library.file_name()),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_COMPILE_S, cwd=ggml)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(
            f"The compiler could not be run: {error}.", "Try again, or name another one in CXX."
        ) from error
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line] or done.stderr.splitlines()[-1:]
        reason = errors[0].strip()[-300:] if errors else f"exit status {done.returncode}"
        hint = "Is the source of the same version as the installed llama-cpp-python?"
        raise EngineError(f"The RPC add-on does not compile: {reason}", hint)
    about = {"protocol": protocol, "version": rpc_library.version()}
    (into / rpc_library.ABOUT).write_text(json.dumps(about), "utf-8")
    return into


def _put(made: Path, folder: Path) -> None:
    """In one step, so that nobody sees half of it; who was faster has made the same."""
    try:
        made.rename(folder)
    except OSError:
        folder.mkdir(exist_ok=True)
        for name in (rpc_library.file_name(), rpc_library.ABOUT):  # last what says that it is whole
            (made / name).replace(folder / name)
