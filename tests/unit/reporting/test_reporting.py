"""The report's parts: what is packed comes out, what is thinned looks the same, what is missing is named."""

import base64
import gzip
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from common.errors import UserError
from reporting.explorer import even_steps
from reporting.figures import extremes
from reporting.packing import FINEST, Packing
from reporting.page import FOLDER, page
from reporting.results import Folder, read_jobs, read_results
from reporting.sections import interval_text, p_text, picture, price_text, range_text
from support.workflow import ROOT

RUN = {
    "symbols": ["BTCUSDT"], "interval": "1m", "horizon": 12, "quantiles": [0.05, 0.25, 0.5, 0.75, 0.95],
    "exchange": {"id": "simulated", "seed": 7}, "folds": {"count": 1}, "members": ["random_walk"], "days": 3.0,
    "as_of": "latest", "tft": {"seeds": [1]}, "sample_paths": {"seed": 1}, "decision": {"policy": "trade"},
    "consensus": {"commission_pct": 0.1, "slippage_pct": 0.02},
}  # fmt: skip


def test_packed_arrays_come_out_as_they_went_in() -> None:
    packing, values = Packing(), np.random.default_rng(1).standard_normal((5, 3, 2))
    values[1, 2, 0] = np.nan
    places = packing.add_scaled(values)
    exact = packing.add(np.arange(3, dtype=np.float64))
    block = gzip.decompress(base64.b64decode(packing.text()))
    scaled = np.frombuffer(block, "<i2", 30, places["values"]["at"]).reshape(5, 3, 2).astype(float)
    unit = np.frombuffer(block, "<f4", 5, places["unit"]["at"])
    assert scaled[1, 2, 0] == -FINEST - 1
    scaled[1, 2, 0] = np.nan
    largest = np.nanmax(np.abs(values), axis=(1, 2))
    error = np.nanmax(np.abs(scaled * unit[:, None, None] - values), axis=(1, 2))
    assert (error <= 0.51 * largest / FINEST).all()
    assert np.frombuffer(block, "<f8", 3, exact["at"]).tolist() == [0, 1, 2]
    assert all(place["at"] % 8 == 0 for place in (*places.values(), exact))
    assert packing.text() == packing.text()


def test_a_thinned_curve_keeps_its_ends_and_extremes() -> None:
    values = np.cumsum(np.random.default_rng(2).standard_normal(200_000))
    places = extremes(values, most=1000)
    assert len(places) <= 1002 and places[0] == 0 and places[-1] == len(values) - 1
    assert values[places].max() == values.max() and values[places].min() == values.min()
    assert (np.diff(places) > 0).all()
    assert extremes(values[:50], most=1000).tolist() == list(range(50))


@pytest.mark.parametrize("horizon", [1, 2, 24, 25, 60, 1000])
def test_steps_are_even_and_hold_both_ends(horizon: int) -> None:
    steps = even_steps(horizon)
    assert steps[0] == 1 and steps[-1] == horizon and len(steps) == min(horizon, 24)
    assert np.ptp(np.diff(steps)) <= 1 if len(steps) > 1 else True


def test_a_folder_without_a_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run\.yaml does not exist: there is no run to report on") as error:
        read_results(tmp_path, tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("a: [", "is damaged"),
        ("symbols: [BTCUSDT]", "is not of a run of this version"),
        (yaml.safe_dump(RUN | {"branches": [{"horizon": 5}]}), "is of several branches"),
    ],
)
def test_a_config_that_is_none_is_one_line(tmp_path: Path, content: str, line: str) -> None:
    (tmp_path / "run.yaml").write_text(content)
    with pytest.raises(UserError, match=line):
        read_results(tmp_path, tmp_path)


def test_of_a_run_that_just_began_all_is_missing_and_named(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(RUN))
    (tmp_path / "evaluation.json").write_text("{}")
    results = read_results(tmp_path, tmp_path / "data")
    assert results.evaluation is None and results.trade is None and results.jobs.empty
    missing = results.folder.missing
    assert len(missing) == len(set(missing))
    assert any("evaluation.json: is damaged, or of another version" in line for line in missing)
    assert any("mock_trade.json is not there" in line for line in missing)
    assert not any("ledger" in line for line in missing)  # few runs have one
    assert results.simulated
    text = page(results)
    assert text.count("Not there yet: ") == 9 and "SIMULATED MARKET" in text and 'id="explorer"' not in text


def test_a_table_of_another_version_is_missing_and_named(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(RUN))
    (tmp_path / "forecast.csv").write_text("symbol,close\nBTCUSDT,1\n")
    (tmp_path / "backtest.csv").write_text("time,symbol,action\n")
    missing = read_results(tmp_path, tmp_path / "data").folder.missing
    assert any("forecast.csv: has no column time" in line for line in missing)
    assert any("backtest.csv: has no rows" in line for line in missing)


def test_a_file_that_is_missing_is_named_once(tmp_path: Path) -> None:
    folder = Folder(tmp_path, tmp_path)
    for _ in range(2):
        assert folder.artifact("a.csv", Path.read_text) is None
    assert folder.missing == [f"{tmp_path / 'a.csv'} is not there"]


def test_jobs_are_read_of_benchmarks(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "0.tsv").write_text("s\th:m:s\tmax_rss\n68.2\t0:01:08\t694.8\n")
    (tmp_path / "train" / "1.tsv").write_text("s\th:m:s\tmax_rss\n1.5\t0:00:01\t-\n")
    jobs = read_jobs(tmp_path)
    assert jobs["rule"].tolist() == ["train", "train"] and jobs["seconds"].tolist() == [68.2, 1.5]
    assert jobs["max_rss"].max() == 694.8


def test_numbers_as_the_page_has_them() -> None:
    assert [price_text(value) for value in (99772.58, 2057.2566, 0.012345678, 0)] == [
        "99,772.6", "2,057.26", "0.0123457", "0.00000",
    ]  # fmt: skip
    assert range_text(99_175.8, 100_462, close=99_772.6) == "99,175.8 … 100,462.0"
    assert interval_text([-0.001, 0.02]) == "95 % CI -0.10 … +2.00" and interval_text(None) == ""
    assert [p_text(value) for value in (None, 0.00001, 0.14198)] == ["unknown", "< 0.001", "0.14"]


def test_a_picture_that_was_not_drawn_is_left_out(tmp_path: Path) -> None:
    assert picture(tmp_path, "none", "title", "alt") == []


def test_the_page_s_parts_are_inputs_of_its_rule() -> None:
    named = (ROOT / "rules" / "report.smk").read_text()
    parts = [path.name for path in FOLDER.iterdir() if path.is_file() and path.suffix != ".py"]
    assert parts and all(f'"{name}"' in named for name in parts)


@pytest.mark.parametrize("theme", [":root {", ':root[data-theme="dark"] {'])
def test_text_has_the_contrast_that_wcag_aa_asks_for(theme: str) -> None:
    styles = (FOLDER / "page.css").read_text()
    block = styles[styles.index(theme) :].split("}")[0]
    colors = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
    for text in ("ink", "soft", "accent"):
        for ground in ("paper", "panel"):
            assert contrast(colors[text], colors[ground]) >= 4.5, (theme, text, ground)
    assert contrast("#000000", colors["badge"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, #rrggbb: WCAG 2.1, 1.4.3."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    """Relative luminance of #rrggbb."""
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
