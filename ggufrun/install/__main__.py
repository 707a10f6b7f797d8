"""usage: python3 ggufrun/install [run|test|test-all|check|bench|install] [ARGS...]   (what each `make` target calls)"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS_FAILED = 1  # pytest's exit code
LAST_FAILED = ".pytest_cache/v/cache/lastfailed"  # pytest's own list
TRIES = 2  # of what failed, alone
ACCIDENTS = 5  # tests that may have failed by the machine's load; more are no accident

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
        pytest = [*module, "pytest", "-q", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
        return both, [
            [*pytest, "--cache-clear", "-m", "not browser and not slow"],
            [*pytest, "-m", "browser and not slow"],
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
    """Run all commands; the first failure is the exit code. `again`: what may follow failed tests, and then decides."""
    sys.stdout.flush()
    if len(commands) == 1 and not again and sys.platform != "win32":
        os.execv(commands[0][0], commands[0])  # so that Ctrl-C and the exit code are the command's own
    codes = [subprocess.call(command) for command in commands]
    if again and TESTS_FAILED in codes and set(codes) <= {0, TESTS_FAILED}:
        return tried_again(again)
    return next(filter(None, codes), 0)


def tried_again(again: list[str]) -> int:
    """Try what failed alone, some times: 0 where each test passed once."""
    code = TESTS_FAILED
    for turn in range(TRIES):
        failed = sorted(json.loads(Path(LAST_FAILED).read_text()))
        if len(failed) > ACCIDENTS:
            print(f"\n{len(failed)} tests failed. That is no accident: none is tried again.", flush=True)
            break
        print(
            f"\nFAILED, and tried again, alone ({turn + 1} of {TRIES}). What passes now hangs on the machine's load or"
        )
        print("on chance, and wants mending all the same:", *failed, sep="\n    ", flush=True)
        code = subprocess.call(again)
        if code != TESTS_FAILED:
            break
    return code


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
