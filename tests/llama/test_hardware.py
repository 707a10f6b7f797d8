"""Memory that this process may have: the machine's, and within a container's limit (cgroup v2)."""

from pathlib import Path

import psutil
import pytest

from ggufrun.llama import hardware


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hardware, "_GROUP", tmp_path)
    return tmp_path


def write(group: Path, limit: str, used: int, idle: int) -> None:
    (group / "memory.max").write_text(f"{limit}\n")
    (group / "memory.current").write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon 123\ninactive_file {idle}\nactive_file 7\n")


def test_the_machines_memory(group: Path) -> None:
    total = psutil.virtual_memory().total
    assert hardware.total_memory() == total
    assert 0 < hardware.available_memory() < total


def test_where_the_system_has_no_such_file(group: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_MEMORY", group / "none")
    assert hardware.total_memory() == psutil.virtual_memory().total
    assert 0 < hardware.available_memory() < hardware.total_memory()


def test_a_containers_limit_is_kept(group: Path) -> None:
    write(group, str(100 << 20), used=30 << 20, idle=0)
    assert hardware.total_memory() == 100 << 20
    assert hardware.available_memory() == 70 << 20


def test_files_that_nobody_uses_are_no_memory_in_use(group: Path) -> None:
    write(group, str(100 << 20), used=95 << 20, idle=80 << 20)
    assert hardware.available_memory() == 85 << 20


def test_a_container_over_its_limit_has_nothing_left(group: Path) -> None:
    write(group, str(100 << 20), used=120 << 20, idle=0)
    assert hardware.available_memory() == 0


def test_a_container_without_a_limit_has_the_machines(group: Path) -> None:
    write(group, "max", used=30 << 20, idle=0)
    assert hardware.total_memory() == psutil.virtual_memory().total
