"""Which llama.cpp build goes into an environment, and getting it: a prebuilt GPU wheel, else compiled here and kept."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from ggufrun.install.machine import accelerator, cache_folder, fingerprint, missing_compiler
from ggufrun.install.progress import InstallError, follow, say

VERSION = "0.3.36"  # what is compiled, and the oldest wheel that is taken
WANTED = f"llama-cpp-python>={VERSION},<0.4"
INDEX = "https://abetlen.github.io/llama-cpp-python/whl"

RECIPE = (Path(__file__).with_name("llama.cmake"), Path(__file__).with_name("amx_tiles.h"))


def recipe() -> str:
    """What a compiled llama.cpp is made from, the machine and CMAKE_ARGS apart."""
    return VERSION + hashlib.sha256(b"".join(file.read_bytes() for file in RECIPE)).hexdigest()[:12]


def cmake_environment(variable: str) -> dict[str, str]:
    """The environment for compiling llama.cpp as llama.cmake says; `variable` is how the project includes that."""
    flag = shlex.quote(f"-D{variable}={RECIPE[0].as_posix()}")
    flags = (os.environ.get("CMAKE_ARGS", ""), "-DLLAMA_ALL_WARNINGS=OFF", flag)
    return os.environ | {"CMAKE_ARGS": " ".join(filter(None, flags))}


def listed(page: str, system: str = sys.platform, machine: str = "") -> bool:
    """Whether an index page has a wheel of a version that we take, for this operating system and processor."""
    machine = (machine or platform.machine()).lower().replace("amd64", "x86_64")
    prefix = {"darwin": "macosx", "win32": "win"}.get(system, "linux")
    for patch, tag in re.findall(r"llama_cpp_python-0\.3\.(\d+)(?:\+\w+)?-[\w.]+-[\w.]+-([\w.]+)\.whl", page):
        if int(patch) >= int(VERSION.split(".")[2]) and prefix in tag and machine in tag.replace("amd64", "x86_64"):
            return True
    return False


def index_has(name: str, index: str = INDEX) -> bool:
    """Whether the wheel index answers soon and has a wheel for us under `name`."""
    try:
        with urllib.request.urlopen(f"{index}/{name}/llama-cpp-python/", timeout=5) as answer:
            return listed(answer.read().decode("utf-8", "replace"))
    except OSError:
        return False


def works(python: Path, gpu: bool) -> bool:
    """Whether the environment's llama.cpp loads, and can offload to a GPU where it should."""
    test = "import sys, llama_cpp; sys.exit(llama_cpp.llama_supports_gpu_offload() < int(sys.argv[1]))"
    try:
        return subprocess.run([python, "-c", test, str(int(gpu))], capture_output=True, timeout=120).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def take_wheel(python: Path, name: str) -> bool:
    """Install the prebuilt wheel `name`; False where that fails or it does not load on this machine."""
    options = ("--force-reinstall", "--only-binary", "llama-cpp-python", "--extra-index-url", f"{INDEX}/{name}")
    command = [str(python), "-m", "pip", "install", *options, WANTED]
    try:
        follow(f"installing llama.cpp's {name} wheel", command, cache_folder() / "wheel.log")
    except InstallError:
        return False
    if works(python, gpu=name != "cpu"):
        return True
    say(f"the {name} wheel does not load here: its CUDA or ROCm runtime libraries are probably not installed")
    return False


def compiled_wheel(python: Path) -> Path:
    """The wheel compiled on this machine, now if it is the first time. On a Mac, Metal is part of it."""
    cmake = os.environ.get("CMAKE_ARGS", "")
    wheels = cache_folder() / "wheels"
    folder = wheels / f"llama-cpp-python-{VERSION}-{fingerprint(cmake, recipe())}"
    if kept := sorted(folder.glob("*.whl")):
        say("llama.cpp was compiled for this machine before: using that")
        return kept[-1]
    if hint := missing_compiler():
        raise InstallError(f"llama.cpp has to be compiled and there is no C++ compiler. First: {hint}")
    wheels.mkdir(parents=True, exist_ok=True)
    say("compiling takes about five minutes on two cores, once: the result is kept for later environments")
    with tempfile.TemporaryDirectory(dir=wheels) as work:
        # Not from or into pip's own cache, which does not know the flags and the processor that a wheel was built for.
        options = ("--no-deps", "--no-cache-dir", "-v", "-w", work)
        command = [str(python), "-m", "pip", "wheel", *options, f"llama-cpp-python=={VERSION}"]
        env = cmake_environment("CMAKE_PROJECT_llama_cpp_INCLUDE")
        follow("compiling llama.cpp", command, wheels / "compile.log", env)
        built = next(Path(work).glob("*.whl"))
        folder.mkdir(exist_ok=True)
        return built.replace(folder / built.name)


def install_llama(python: Path) -> str:
    """Install the llama.cpp build for this machine, one line for each decision; returns the build's name."""
    device, wheels = accelerator()
    if os.environ.get("CMAKE_ARGS"):
        say("CMAKE_ARGS is set: compiling llama.cpp with it")
        wheels = []
    for name in wheels[:4]:
        if index_has(name):
            say(f"found {device}: taking the {name} build from {INDEX}")
            if take_wheel(python, name):
                return name
    if wheels:
        say(f"found {device}, but there is no wheel for it at {INDEX} or it does not answer: compiling instead")
        if sys.platform != "darwin":
            say("  that build runs on the processor; README.md says how to compile one for the GPU")
    elif missing_compiler() and index_has("cpu") and take_wheel(python, "cpu"):
        return "cpu"
    else:
        say(f"found {device}: llama.cpp for the processor, from source")
    wheel = compiled_wheel(python)
    follow("installing llama.cpp", [str(python), "-m", "pip", "install", str(wheel)], cache_folder() / "install.log")
    if not works(python, gpu=False):
        raise InstallError(f"the compiled llama.cpp does not load. Delete {wheel.parent} and try again")
    return "compiled"
