"""report.html: one file that asks nobody for anything, and in which nothing read or written becomes HTML"""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from ggufrun.compare.report.checks import SELF_TEST_PASSED, passed, warnings
from ggufrun.compare.report.columns import COLUMNS
from ggufrun.compare.report.facts import facts
from ggufrun.compare.report.html_greedy import prompts
from ggufrun.compare.report.html_rows import table_rows
from ggufrun.compare.report.html_tables import pairs_table, parts_table, task_lines
from ggufrun.compare.report.plots import Pictures
from ggufrun.compare.report.words import BANDS_ARE, noise_words, printable_text
from ggufrun.compare.results import Report
from ggufrun.compare.statistics.drawn import LEAST_CHUNKS

_ASSETS: Final = files("ggufrun.compare.report") / "assets"


def page(report: Report, pictures: Pictures) -> str:
    """Whole or not: what is missing is left out, or its place says so."""
    shown = tuple(column for column in COLUMNS if any(not row.error and column.cell(row) for row in report.rows))
    rows = table_rows(report, shown)
    return _template().render(
        **_fixed(),
        report=report,
        created=datetime.fromtimestamp(report.created, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        columns=shown,
        rows=rows,
        warnings=warnings(report),
        self_test=SELF_TEST_PASSED if passed(report) else "",
        any_interval=any(cell and cell.interval for row in rows for cell in row.cells),
        least_chunks=LEAST_CHUNKS if any(row.ppl and row.ppl.chunks < LEAST_CHUNKS for row in report.rows) else 0,
        noise=noise_words(report.noise) if report.noise is not None else "",
        bands=BANDS_ARE,
        pictures=_trusted(pictures),
        kv_rows=len({row.kv_type for row in report.rows}) > 1,
        parts=parts_table(report),
        tasks=task_lines(report),
        pairs=pairs_table(report),
        prompts=prompts(report),
        facts=facts(report),
    )


def _trusted(pictures: Pictures) -> Mapping[str, Any]:
    """matplotlib has escaped the texts in them."""
    depth = Markup(pictures.depth) if pictures.depth else None
    return {"panels": [(key, Markup(svg)) for key, svg in pictures.panels], "depth": depth}


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.globals["sorter"] = lambda title: Markup('<button type="button">{}</button>').format(title)
    return environment.from_string((_ASSETS / "report.html").read_text(encoding="utf-8"))


def _shown(value: Any) -> Any:
    """Of every value before it is escaped: HTML has no place for control characters, either."""
    return printable_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _fixed() -> dict[str, Any]:
    """Our own script is the only one that the page lets run."""
    script = (_ASSETS / "sort.js").read_text(encoding="utf-8")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    css = (_ASSETS / "report.css").read_text(encoding="utf-8")
    return {"css": Markup(css), "script": Markup(script), "script_hash": Markup(f"sha256-{digest}")}
