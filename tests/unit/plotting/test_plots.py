"""The figures: real files, the same bytes twice, and every awkward run they must cope with."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from audit import audit
from common.files import read_csv, read_document, read_json, read_parquet, write_parquet
from consensus import consensus
from forecasting.documents import Direction, Evaluation
from forecasting.members import BASELINES, MODELS, ORACLE
from market.candles import read_candles
from plot_consensus import consensus_figure, draw_history, plot_consensus
from plot_evaluation import plot_evaluation, relative_loss, shown_range, weighted_mean
from plot_forecast import plot_forecast
from plotting.evaluation_detail import STATES, detail_figure
from plotting.style import member_line, time_positions
from support.pictures import has_badge
from support.worlds import AS_OF, World, write_candles
from trading.documents import Audit, Trade
from trading.settlement import describe_result

AWKWARD: dict[str, dict[str, Any]] = {
    "nothing is realised, the models were skipped": {"realised": 0, "width": None, "symbols": ["BTCUSDT"], "folds": 1},
    "real, seven symbols, a window that ends early": {
        "realised": 3,
        "width": 2.5,
        "simulated": False,
        "symbols": ["BTCUSDT", *(f"COIN{k}USDT" for k in range(6))],
    },
    "one step of a day": {"horizon": 1, "realised": 1, "interval": "1d"},
}


def draw(world: World, out: Path, timefmt: str = "%m-%d %H:%M") -> list[Path]:
    """Decide, audit and draw all five figures into `out`; their paths."""
    folder = world.folder
    consensus(**world.consensus_inputs())
    audit(**world.audit_inputs())
    names = ("ev", "de", "fc", "co", "be")
    files = {name: {kind: str(out / f"{name}.{kind}") for kind in ("png", "pdf")} for name in names}
    plot_evaluation(
        **files["ev"],
        detail_png=files["de"]["png"],
        detail_pdf=files["de"]["pdf"],
        table=str(folder / "evaluation.csv"),
        steps=str(folder / "evaluation_steps.csv"),
        summary=str(world.evaluation),
    )
    draw_forecast(world, files["fc"], world.symbols, timefmt)
    plot_consensus(
        **files["co"],
        trade=str(folder / "mock_trade.json"),
        audit=str(folder / "mock_eval.json"),
        path=str(folder / "forecast_path.csv"),
        candles=[str(world.candles("BTCUSDT"))],
        realised=[str(world.outcome("BTCUSDT"))],
        interval=world.interval,
        timefmt=timefmt,
        pad_minutes=60,
        breakeven_png=files["be"]["png"],
        breakeven_pdf=files["be"]["pdf"],
    )
    return [Path(path) for kinds in files.values() for path in kinds.values()]


def draw_forecast(world: World, files: dict[str, str], symbols: Sequence[str], timefmt: str = "%H:%M") -> None:
    plot_forecast(
        **files,
        forecasts=str(world.forecast("tft")),
        candles=[str(world.candles(symbol)) for symbol in world.symbols],
        realised=[str(world.outcome(symbol)) for symbol in world.symbols],
        cutoff=str(world.cutoff),
        symbols=symbols,
        interval=world.interval,
        timefmt=timefmt,
    )


def test_the_forecast_drawn_is_that_from_the_live_origin(tmp_path: Path) -> None:
    world = World(tmp_path)
    pictures = []
    for name in ("alone", "since_training"):
        files = {kind: str(tmp_path / f"{name}.{kind}") for kind in ("png", "pdf")}
        draw_forecast(world, files, world.symbols)
        pictures.append(Path(files["png"]).read_bytes())
        live = pd.read_parquet(world.forecast("tft"))
        earlier = live.assign(origin=live["origin"] - world.bar_ms, close=2 * live["close"])
        write_parquet(world.forecast("tft"), pd.concat([earlier, live]))
    assert pictures[0] == pictures[1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", AWKWARD)
def test_all_figures_of_an_awkward_run(tmp_path: Path, name: str) -> None:
    world = World(tmp_path, **AWKWARD[name])
    for path in draw(world, tmp_path / "plots"):
        assert path.stat().st_size > 10_000
        if path.suffix == ".png":
            assert has_badge(path) == world.simulated, path.name
        else:
            assert path.read_bytes().startswith(b"%PDF-")
    action = read_json(tmp_path / "mock_trade.json")["decision"]["action"]
    assert action == ("HOLD" if world.width is None or world.width > 2 else "BUY")


def test_the_same_run_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    one, two = (draw(World(tmp_path / name), tmp_path / name / "plots") for name in ("one", "two"))
    for first, second in zip(one, two, strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name
    world = World(tmp_path / "other")
    write_candles(world.outcome("BTCUSDT"), AS_OF + world.bar_ms * np.arange(12), np.linspace(60_000, 61_000, 12))
    for first, other in zip(one, draw(world, tmp_path / "other" / "plots"), strict=True):
        earlier = first.stem in ("ev", "de", "be")  # they do not show what was realised after the decision
        assert (first.read_bytes() == other.read_bytes()) == earlier, first.name


@pytest.mark.parametrize(
    ("interval", "minutes", "shown"), [("1m", 10, 10), ("1m", 0, 0), ("5m", 60, 60), ("5m", 7, 10)]
)
def test_the_history_is_as_long_as_it_is_asked_to_be(tmp_path: Path, interval: str, minutes: int, shown: int) -> None:
    world = World(tmp_path, interval=interval)
    axes = Figure().subplots()
    draw_history(axes, read_candles(str(world.candles("BTCUSDT")), interval), AS_OF, world.bar_ms, minutes)
    times, closes = map(np.asarray, axes.lines[0].get_data())
    assert np.ptp(times) * 24 * 60 == pytest.approx(shown)
    assert times[-1] == time_positions(AS_OF)
    assert np.isfinite(closes).all()


def test_the_forecast_shows_the_first_six_symbols_in_the_order_given(tmp_path: Path) -> None:
    symbols = [f"COIN{k}USDT" for k in range(7)]
    world = World(tmp_path, symbols=symbols)
    files = {kind: str(tmp_path / f"forecast.{kind}") for kind in ("png", "pdf")}
    world.candles(symbols[2]).unlink()  # the seventh of the new orders is not read
    drawn = []
    for order in ([6, 0, 1, 3, 4, 5, 2], [5, 0, 1, 3, 4, 6, 2]):
        draw_forecast(world, files, [symbols[k] for k in order])
        drawn.append(Path(files["png"]).read_bytes())
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("drift", [{"tft": 0.02}, {}])
def test_the_figure_of_a_decision_names_what_was_executed_and_realised(tmp_path: Path, drift: dict[str, float]) -> None:
    world = World(tmp_path, drift=drift)
    consensus(**world.consensus_inputs())
    audit(**world.audit_inputs())
    trade, audited = read_document(world.trade, Trade), read_document(world.audit, Audit)
    path, candles = read_csv(tmp_path / "forecast_path.csv"), read_parquet(world.candles("BTCUSDT"))
    outcome = read_parquet(world.outcome("BTCUSDT"))
    labels = {}
    for name, realised in (("all", outcome), ("none", outcome.iloc[:0])):
        figure = consensus_figure(trade, audited, path, candles, realised, 60, "%H:%M")
        labels[name] = [text.get_text() for text in figure.legends[0].get_texts()]
        assert any(describe_result(audited) in " ".join(text.get_text().splitlines()) for text in figure.texts)
    assert "realised close" in labels["all"] and "realised close (none yet)" in labels["none"]
    bought = trade["decision"]["action"] == "BUY"
    assert bought == bool(drift)
    entry, sale = (
        next(text for text in labels["all"] if text.startswith(start)) for start in ("entry", "best plan's sale")
    )
    assert ("not executed" in entry, "not executed" in sale) == (not bought, not bought)
    assert any(text.startswith("median that a BUY needs") for text in labels["all"]) == (not bought)
    assert any(text.startswith("sold, fill" if bought else "would have sold, fill") for text in labels["all"])


def test_the_mean_weighs_origins_and_leaves_out_what_is_unknown() -> None:
    table = pd.DataFrame({"fold": [0, 0, 0, 1], "origins": [1, 3, 9, 2], "value": [4.0, 8, np.nan, np.nan]})
    mean = weighted_mean(table, ["fold"], "value")
    assert mean[0] == 7
    assert np.isnan(mean[1])


def test_symbols_of_any_volatility_count_alike() -> None:
    # the TFT is 20 % better than the random walk at a quiet symbol, 10 % at one a hundred times as volatile
    table = pd.DataFrame(
        {
            "fold": 0,
            "symbol": ["QUIET", "QUIET", "VOLATILE", "VOLATILE"],
            "member": ["random_walk", "tft"] * 2,
            "origins": 5,
            "pinball": [1.0, 0.8, 100, 90],
        }
    )
    losses = relative_loss(table, "fold")
    assert losses.loc[0].to_dict() == pytest.approx({"random_walk": 1, "tft": 0.85})


def test_every_member_has_a_style_of_its_own() -> None:
    styles = [member_line(name) for name in (*MODELS, *BASELINES, ORACLE)]
    assert len({(style["color"], style["linestyle"]) for style in styles}) == len(styles)
    assert all(style["linestyle"] != ":" for style in styles)


def test_a_far_worse_member_does_not_flatten_the_others() -> None:
    skills = pd.DataFrame({"tft": [0.03, 0.04], "ewma": [0.02, -0.01], "oracle": [0.06, 0.05], "naive": [-0.4, -0.3]})
    assert shown_range(skills, "tft") == (-0.12, -0.01, 0.06)
    assert shown_range(skills.assign(ewma=[0.02, -0.5]), "tft") == (-0.12, -0.12, 0.06)  # cut where it leaves
    assert shown_range(skills.assign(tft=-0.6), "tft") == (-0.6, -0.6, 0.06)
    assert shown_range(skills * np.nan, "tft") == (-0.03, 0, 0)


def test_the_figure_of_states_names_who_is_significant_and_who_is_off_the_scale(tmp_path: Path) -> None:
    """Filled points where the hit rate is significant; no line below the lowest R² that is drawn."""
    made = read_document(World(tmp_path).evaluation, Evaluation)
    told: Direction = {"step": 1, "r2": 0.01, "mae": 1, "origins": 9, "hit_rate": 0.6, "p": 0.01}
    made["direction"] |= {"tft": [told, {**told, "step": 2, "p": 0.2}], "ewma": [{**told, "r2": -0.5}]}
    made["economic_value"]["random_walk"]["gain"] = -0.03
    axes = detail_figure(made, "BTC").axes
    faces = [line.get_markerfacecolor() for line in axes[3].lines if line.get_marker() == "o"]
    assert faces == [member_line("tft")["color"], "white"]
    labels = [text.get_text() for text in axes[2].get_yticklabels()]
    assert len(labels) == len(made["members"])
    assert [text.get_text() for text in axes[2].texts] == ["◂ off the scale"] and labels[0].startswith("random walk")
    counts = [label.get_text().split("\n")[-1] for label in axes[0].get_xticklabels()]
    states = made["by_condition"]["ensemble"]
    assert counts == [f"{states[name]['origins']} origins" for name in STATES]


def test_no_direction_is_said_in_its_panel(tmp_path: Path) -> None:
    axes = detail_figure(read_document(World(tmp_path).evaluation, Evaluation), "BTC").axes
    assert [text.get_text() for text in axes[3].texts] == ["no member forecasts direction"]
