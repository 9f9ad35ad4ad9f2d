"""The report as one HTML page that needs no network."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from forecasting.members import find_member
from market.intervals import iso
from reporting.explorer import explorer
from reporting.packing import packed
from reporting.price_answers import coming, data_quality, outlook
from reporting.provenance import provenance
from reporting.results import Results
from reporting.sections import Section
from reporting.skill_answers import calibration, interpretation, skill
from reporting.trading_answers import decision, outcome, policy

FOLDER = Path(__file__).parent
TEMPLATE, STYLES, SCRIPTS = "page.html.j2", "page.css", ("charts.js", "explorer.js")
ANSWERS = (outlook, data_quality, skill, calibration, coming, decision, outcome, policy, interpretation, provenance)


def page(results: Results) -> str:
    """The HTML of a run's report: all sections, the explorer, the libraries' script."""
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    sections = [answer(results) for answer in ANSWERS]
    explored = explorer(results)
    return environment.get_template(TEMPLATE).render(
        title=_title(results),
        simulated=results.simulated,
        facts=_facts(results),
        sections=sections,
        explored=explored,
        label=lambda name: find_member(name).label,
        missing=results.folder.missing,
        charts=_json(_charts(sections)),
        explorer=_json(explored),
        styles=_source(STYLES),
        scripts=[_source(name) for name in SCRIPTS],
        plotly=packed(get_plotlyjs().encode()),
    )


def _title(results: Results) -> str:
    shown = results.symbols[:4]
    more = len(results.symbols) - len(shown)
    return f"Forecast of {', '.join(shown)}{f' and {more} more' if more else ''}"


def _facts(results: Results) -> str:
    """What was forecast, when."""
    config, cutoff = results.config, results.cutoff
    made = f", made at {iso(cutoff['as_of'])[:16].replace('T', ' ')} UTC" if cutoff else ""
    return f"{config['horizon']} bars of {config['interval']} ahead, {config['exchange']['id']}{made}"


def _charts(sections: Sequence[Section]) -> dict[str, Any]:
    """Every interactive figure by its id, as plotly writes it."""
    return {chart.name: json.loads(chart.figure.to_json()) for section in sections for chart in section.charts}


def _json(content: Any) -> Markup:
    """JSON that stands in a script element: no `<` may end it."""
    return Markup(json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))


def _source(name: str) -> Markup:
    return Markup((FOLDER / name).read_text())
