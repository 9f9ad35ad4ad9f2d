"""Answers on prices: where each symbol will be, whether the candles are good, what the forecast sees coming."""

import numpy as np
import pandas as pd

from forecasting.distribution import Distribution
from forecasting.members import ENSEMBLE
from market.intervals import step_ms
from reporting.explorer import LEVELS
from reporting.price_figures import DRAWN, Fan, fan_figure, history_figure, paths_figure, touching_figure
from reporting.results import Results
from reporting.sections import (
    UNKNOWN,
    Chart,
    Number,
    Section,
    Table,
    missing,
    p_text,
    price_text,
    range_text,
    time_text,
)

MOST = 6  # symbols with a figure of their own; the explorer has all
EARLIER = 3  # forecasts before the live one that are drawn with it


def outlook(results: Results) -> Section:
    """Where each symbol will be at the horizon's end, and how sure."""
    name, question = "prices", "Where will each symbol be, and how sure is that?"
    if results.prices is None or not set(results.symbols) & set(results.prices["symbol"]):
        return missing(name, question, "the live forecast (forecast.csv)", "snakemake -j4 predict")
    last = {str(symbol): rows.iloc[-1] for symbol, rows in results.prices.groupby("symbol", sort=False)}
    end = time_text(str(results.prices["time"].iloc[-1]))
    rows = [_outlook_row(results, symbol, last[symbol]) for symbol in results.symbols if symbol in last]
    first = rows[0]
    head = ["symbol", "close", "median", "50 % range", "90 % range", "P(up)", "P(above breakeven)"]
    caption = f"Prices by {end}, {results.config['horizon']} bars of {results.config['interval']} ahead"
    answer = (
        f"By {end} {first[0]} will be in {first[4]} with a probability of 90 %; the median is {first[2]}, the close "
        f"before it {first[1]}. It rises with a probability of {first[5]}."
    )
    notes = [
        "P(up): a close above the present one. P(above breakeven): what is bought now has earned its costs.",
        "Half of all closes should lie in the 50 % range, nine of ten in the 90 % range; did they: see Calibration.",
    ]
    return Section(name, question, answer, charts=_fans(results), tables=[Table(caption, head, rows)], notes=notes)


def data_quality(results: Results) -> Section:
    """Whether the candles are whole, and what was changed in them."""
    name, question = "data", "Is the data good?"
    records = results.quality.values()
    if not records:
        return missing(name, question, "candles with their quality records", "snakemake -j4 fetch")
    expected, absent, filled = (sum(record[key] for record in records) for key in ("expected", "missing", "filled"))
    changed = sum(len(record["dropped"]) + len(record["conflicting"]) for record in records)
    frozen = sum(len(record["frozen_spans"]) for record in records)
    share = f"{100 * (expected - absent) / max(expected, 1):.2f} %"
    answer = (
        f"{share} of the {expected:,} bars are there; {filled:,} were filled, {changed:,} rows were dropped or in "
        f"conflict, and the price stood still in {frozen:,} long spans."
    )
    return Section(
        name,
        question,
        answer,
        numbers=[Number(share, "of the bars are there"), Number(f"{filled:,}", "bars filled")],
        charts=_history(results),
        tables=[_quality(results)],
        notes=["A filled bar stands for a short gap (candles.fill) and has the close before it."],
    )


def _history(results: Results) -> list[Chart]:
    spans = [] if results.evaluation is None else results.evaluation["folds"]
    alt = f"Closes of {', '.join(results.candles)} relative to their first one, with the test spans shaded."
    figure = history_figure(results.candles, [(fold["test_start_iso"], fold["test_end_iso"]) for fold in spans])
    return [Chart("history", "Closes; shaded: the test spans", alt, figure)] if results.candles else []


def _quality(results: Results) -> Table:
    head = ["symbol", "from", "to", "bars", "missing", "filled", "duplicates", "dropped", "frozen spans", "low … high"]
    rows = [
        [
            symbol,
            *(time_text(end) for end in (record["start"], record["end"])),
            *(f"{record[key]:,}" for key in ("bars", "missing", "filled", "duplicates")),
            *(str(len(spans)) for spans in (record["dropped"], record["frozen_spans"])),
            UNKNOWN if record["lowest"] is None else range_text(record["lowest"], record["highest"] or 0),
        ]
        for symbol, record in results.quality.items()
    ]
    return Table("Candles of training and evaluation", head, rows)


def coming(results: Results) -> Section:
    """What happens on the way: paths, and probabilities of touching a price."""
    name, question = "paths", "What does it see coming on the way?"
    symbol = shown_symbol(results)
    if results.paths is None or symbol not in results.paths or results.forecasts is None:
        return missing(name, question, "the sample paths (forecasts/live/paths.parquet)", "snakemake -j4 predict")
    live, close = results.paths[symbol], _live(results, symbol)[0]
    half = live.quantile(0.25), live.quantile(0.75)
    falls, rises = (f"{100 * float(live.probability_of_touching(np.array(level))):.0f} %" for level in half)
    low, high = (price_text(close * float(np.exp(level)), close) for level in half)
    drawdown = 100 * float(-np.expm1(-np.median(live.maximum_drawdown())))
    answer = (
        f"Within the horizon some close of {symbol} is at {high} or above with a probability of {rises}, and at "
        f"{low} or below with {falls}. These end its 50 % range: a price passes them more often than it ends beyond."
    )
    times = _times(results, live.paths.shape[0])
    alt = "Probability of touching a price change, within a quarter, half and all of the horizon."
    return Section(
        name,
        question,
        answer,
        numbers=[Number(f"{drawdown:.2f} %", "median of the largest fall on the way"), *_path_skill(results)],
        charts=[
            Chart(
                "paths",
                f"{symbol}: {DRAWN} of {live.paths.shape[1]} sample paths",
                f"Sample paths of {symbol}, and their median.",
                paths_figure(live, close, times),
            ),
            Chart("touching", f"{symbol}: the probability that a close touches a level", alt, touching_figure(live)),
        ],
    )


def _path_skill(results: Results) -> list[Number]:
    """How much better the sample paths are than simpler ones."""
    scores = results.path_scores
    if scores is None:
        return []
    rivals = {"independent": "paths of independent steps", "gaussian_walk": "a Gaussian walk"}
    tests = {label: scores["tests"]["energy"][name] for name, label in rivals.items()}
    return [
        Number(
            f"{100 * test['skill']:+.2f} %",
            f"energy score, better than {label}",
            f"p {p_text(test['p_holm'])}, Holm-corrected; at {scores['origin_times']} moments, all symbols together",
        )
        for label, test in tests.items()
        if test["skill"] is not None
    ]


def shown_symbol(results: Results) -> str:
    """The symbol of the decision, or the first one."""
    return results.trade["config"]["symbol"] if results.trade else results.symbols[0]


def _outlook_row(results: Results, symbol: str, row: pd.Series) -> list[str]:
    trade = results.trades.get(symbol)
    breakeven = trade["breakeven"]["price"] if trade else None
    above = UNKNOWN
    if breakeven is not None and results.forecasts is not None and symbol in results.forecasts.symbol:
        close, quantiles = _live(results, symbol)
        law = Distribution(results.config["quantiles"], quantiles[-1])
        above = f"{100 * (1 - float(law.cdf(np.log(breakeven / close)))):.1f} %"
    return [
        symbol,
        price_text(row["close"]),
        price_text(row["price_q0.5"], row["close"]),
        range_text(row["price_q0.25"], row["price_q0.75"], row["close"]),
        range_text(row["price_q0.05"], row["price_q0.95"], row["close"]),
        f"{100 * row['p_up']:.1f} %",
        above,
    ]


def _live(results: Results, symbol: str) -> tuple[float, np.ndarray]:
    """The close that the live forecast of a symbol starts from, and its quantiles [horizon, levels]."""
    assert results.forecasts is not None
    row = int(np.flatnonzero(results.forecasts.symbol == symbol)[0])
    return float(results.forecasts.close[row]), results.forecasts.quantiles[row]


def _times(results: Results, horizon: int) -> np.ndarray:
    """Closing times (ms) from the forecast's moment on [horizon + 1]."""
    assert results.forecasts is not None
    bar_ms = step_ms(results.config["interval"])
    return results.forecasts.origin[0] + bar_ms * np.arange(1, horizon + 2)


def _fans(results: Results) -> list[Chart]:
    """The live forecast of the first symbols, with two horizons before it and what followed."""
    if results.forecasts is None:
        return []
    bar_ms, horizon = step_ms(results.config["interval"]), results.config["horizon"]
    times, columns = _times(results, horizon), [list(results.config["quantiles"]).index(level) for level in LEVELS]
    charts = []
    for symbol in [symbol for symbol in results.symbols if symbol in results.forecasts.symbol][:MOST]:
        fan = _fan(*_live(results, symbol), times, columns)
        before = _earlier(results, symbol, int(times[0]), columns)
        start = before[0].times[0] if before else times[0] - 2 * horizon * bar_ms
        past = _closes(results.candles.get(symbol), bar_ms, start, times[0])
        after = pd.concat([past.tail(1), _closes(results.outcome.get(symbol), bar_ms, times[1], times[-1])])
        alt = f"{symbol}: forecast with its 50 and 90 % ranges, the closes before it, and what followed."
        charts.append(
            Chart(f"fan-{symbol}", f"{symbol}, the {ENSEMBLE}'s forecast", alt, fan_figure(fan, before, past, after))
        )
    return charts


def _fan(close: float, quantiles: np.ndarray, times: np.ndarray, columns: list[int]) -> Fan:
    prices = close * np.exp(np.concatenate([np.zeros((1, len(columns))), quantiles[:, columns]]))
    return Fan(times, {level: prices[:, place] for place, level in enumerate(LEVELS)})


def _earlier(results: Results, symbol: str, moment: int, columns: list[int]) -> list[Fan]:
    """The latest forecasts of the last fold that were over before the moment (ms), a horizon apart, the first one
    first."""
    tested = results.tested
    if tested is None:
        return []
    bar_ms, horizon = step_ms(results.config["interval"]), results.config["horizon"]
    fans: list[Fan] = []
    for row in np.flatnonzero(tested.symbol == symbol)[::-1]:
        times = tested.origin[row] + bar_ms * np.arange(1, horizon + 2)
        if times[-1] <= (fans[0].times[0] if fans else moment) and len(fans) < EARLIER:
            fans.insert(0, _fan(float(tested.close[row]), tested.quantiles[row], times, columns))
    return fans


def _closes(candles: pd.DataFrame | None, bar_ms: int, start: int, end: int) -> pd.Series:
    """Closes by the time of the bar's end (ms), from start to end."""
    if candles is None:
        return pd.Series(dtype=np.float64)
    series = pd.Series(candles["close"].to_numpy(), index=candles["timestamp"].to_numpy() + bar_ms)
    return series[(series.index >= start) & (series.index <= end)]
