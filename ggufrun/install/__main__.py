"""usage: python3 ggufrun/install [run|test|test-all|check|bench|install] [ARGS...]   (what each `make` target calls)"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS_FAILED = 1  # pytest's exit code

if sys.version_info < (3, 11):  # noqa: UP036  (this file also has to run where it says so)
    sys.exit(f"ggufrun: Python 3.11 or newer is needed and this is {platform.python_version()}: see python.org")

# A bare package in place of ggufrun's own, whose imports are not installed yet.
package = types.ModuleType("ggufrun")
package.__path__ = [str(ROOT / "ggufrun")]
sys.modules.setdefault("ggufrun", package)

from ggufrun.install.environment import Environment  # noqa: E402
from ggufrun.install.progress import InstallError  # noqa: E402


def tasks(name: str, arguments: list[str], environment: Environment) -> tuple[set[str], list[list[str]]]:
    """The extras that a task needs and its commands."""
    module = [str(environment.python), "-m"]
    both = {"demo", "test"}
    if name == "run":
        return {"demo"}, [[environment.program("ggufrun"), *arguments]]
    if name == "test" and arguments:
        return both, [[*module, "pytest", *arguments]]
    if name == "test":
        pytest, two = [*module, "pytest", "-q"], ["-n", "2", "--dist", "loadfile"]
        return both, [
            [*pytest, *two, "-m", "not model and not browser and not slow"],
            [*pytest, *two, "-m", "browser and not slow"],
            [*pytest, "-m", "model and not browser and not slow"],  # one after the other: each takes every core
        ]
    if name == "test-all":
        return both, [[*module, "pytest", "-m", "slow or not slow", *arguments]]
    if name == "check":
        ruff, linter = [*module, "ruff"], environment.program("lint-imports")
        return both, [
            [*ruff, "check", "."],
            [*ruff, "format", "--check", "."],
            [linter, "--no-logo"],
            [*module, "mypy"],
        ]
    if name == "bench":
        return both, [[*module, "benchmarks.side_by_side", *arguments]]
    if name == "install":
        return {"demo"}, []
    raise InstallError(f"there is no task {name!r}: use run, test, test-all, check, bench or install")


def failed_again(environment: Environment) -> list[str]:
    """The tests that failed in the last run, one after the other: a machine that is busy makes some late."""
    return [str(environment.python), "-m", "pytest", "-q", "-rfEp", "--lf", "--lfnf=none"]


def perform(commands: list[list[str]], again: list[str]) -> int:
    """Run all commands; the first failure is the exit code. `again`: what may follow a failure, and then decides."""
    sys.stdout.flush()
    if len(commands) == 1 and sys.platform != "win32":
        os.execv(commands[0][0], commands[0])  # so that Ctrl-C and the exit code are the command's own
    codes = [subprocess.call(command) for command in commands]
    if again and set(codes) == {0, TESTS_FAILED}:
        print("\nOnce more, alone, what failed above. What passes now depends on the machine's load:", flush=True)
        return subprocess.call(again)
    return next(filter(None, codes), 0)


def main(arguments: list[str]) -> int:
    os.chdir(ROOT)
    environment = Environment(ROOT)
    try:
        extras, commands = tasks(arguments[0] if arguments else "run", arguments[1:], environment)
        environment.ensure(extras)
    except InstallError as error:
        print(f"ggufrun: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nggufrun: stopped; the next run goes on from here", file=sys.stderr)
        return 130
    return perform(commands, failed_again(environment) if arguments == ["test"] else [])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
