"""What the doctor found, as values: findings, sections of them, and the whole report."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Level = Literal["ok", "note", "warning", "fault"]
LEVELS: Final[tuple[Level, ...]] = ("ok", "note", "warning", "fault")  # from good to bad


@dataclass(frozen=True, slots=True)
class Finding:
    """`says` is one sentence, `next` what to do about it ("": nothing), `shown` lines of evidence."""

    topic: str  # "header", "sha256", …
    level: Level
    says: str
    next: str = ""
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """`facts` are for people, (label, text); `data` are the same for programs."""

    title: str
    facts: tuple[tuple[str, str], ...]
    findings: tuple[Finding, ...]
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    sections: tuple[Section, ...]

    @property
    def findings(self) -> Iterator[Finding]:
        return (finding for section in self.sections for finding in section.findings)

    @property
    def worst(self) -> Level:
        return max((finding.level for finding in self.findings), key=LEVELS.index, default="ok")
