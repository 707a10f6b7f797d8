"""The official JSON Schema suite, draft 2020-12: in the sdist of jsonschema, which pip fetches once and we keep."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import platformdirs
import pytest

_RELEASE: Final = "4.26.0"
_FOLDER: Final = f"jsonschema-{_RELEASE}/json/tests/draft2020-12"
_PIP: Final = ("-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", f"jsonschema=={_RELEASE}")


@dataclass(frozen=True, slots=True)
class Case:
    """One schema of the suite, with its instances and whether each is valid."""

    name: str
    schema: Any
    instances: tuple[tuple[Any, bool], ...]

    def fresh(self) -> Any:
        """A copy of the schema that shares nothing with it."""
        return json.loads(json.dumps(self.schema))


@cache
def cases() -> tuple[Case, ...]:
    """All of the suite but what is optional. Skips the test that asks where it cannot be had."""
    return tuple(_read(_kept()))


def _kept() -> Path:
    folder = platformdirs.user_cache_path("ggufrun-tests", appauthor=False)
    kept = folder / f"json-schema-suite-{_RELEASE}.json"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as work:
            files = _downloaded(Path(work))
            part = Path(work) / "suite.json"
            part.write_text(json.dumps(files))
            part.replace(kept)
    return kept


def _downloaded(work: Path) -> dict[str, Any]:
    """The suite's files by name."""
    try:
        subprocess.run(
            [sys.executable, *_PIP, "-d", str(work)], check=True, capture_output=True, text=True, timeout=100
        )
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", "") or str(error)
        pytest.skip(f"the JSON Schema suite cannot be fetched: {str(said).strip().splitlines()[-1]}")
    files: dict[str, Any] = {}
    with tarfile.open(next(work.glob("*.tar.gz"))) as archive:
        for member in archive.getmembers():
            path = Path(member.name)
            if str(path.parent) == _FOLDER and path.suffix == ".json" and (held := archive.extractfile(member)):
                files[path.stem] = json.load(held)
    return files


def _read(kept: Path) -> Iterator[Case]:
    for stem, groups in sorted(json.loads(kept.read_text()).items()):
        for index, group in enumerate(groups):
            instances = tuple((each["data"], each["valid"]) for each in group["tests"])
            yield Case(f"{stem}-{index}", group["schema"], instances)
