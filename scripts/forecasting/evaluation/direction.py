"""Whether the median forecasts the direction of the price.

docs/evaluation.md defines each figure.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from common.files import number
from common.text import percent
from forecasting.documents import Direction
from forecasting.evaluation.significance import diebold_mariano, make_panel
from forecasting.hac import hac_lags
from forecasting.members import display_name


def directions(
    cases: pd.DataFrame, steps: Sequence[int], stride: int, bar_ms: int
) -> dict[str, list[Direction] | None]:
    """Figures of the median's direction by member, at each of the steps; None where the median is always no change."""
    found: dict[str, list[Direction] | None] = {}
    for member, rows in cases.groupby("member", sort=False):
        moves = any(rows[f"median{step}"].any() for step in steps)
        found[str(member)] = [_direction(rows, step, stride, bar_ms) for step in steps] if moves else None
    return found


def _direction(rows: pd.DataFrame, step: int, stride: int, bar_ms: int) -> Direction:
    """A member's figures at one step. Each symbol is in units of its own mean square, and mean absolute, return."""
    median, realised = rows[f"median{step}"], rows[f"realised{step}"]
    square, size = (realised**2).groupby(rows["symbol"]), realised.abs().groupby(rows["symbol"])
    signed = rows[(median != 0) & (realised != 0)]
    signs = signed[["fold", "symbol", "origin"]].assign(
        forecast=signed[f"median{step}"] > 0, realised=signed[f"realised{step}"] > 0
    )
    return {
        "step": step,
        "r2": number(1 - ((realised - median) ** 2 / square.transform("mean")).mean()),
        "mae": number(((realised - median).abs() / size.transform("mean")).mean()),
        "origins": len(signed),
        "hit_rate": number((signs["forecast"] == signs["realised"]).mean()),
        "p": sign_test(signs, step, stride, bar_ms),
    }


def sign_test(signs: pd.DataFrame, step: int, stride: int, bar_ms: int) -> float | None:
    """One-sided p of no positive dependence between the `forecast` and the `realised` sign (bool).

    The statistic of Pesaran and Timmermann (1992), J. Business & Economic Statistics 10(4), the covariance of both
    signs, in the form for dependent observations (Pesaran and Timmermann 2009, J. American Statistical Association
    104(485)): its HAC standard error, over sums of symbols. signs: rows with `fold`, `symbol`, `origin`. None where
    there are too few origin times, or a sign never changes.
    """
    if signs.empty:
        return None
    centred = signs[["forecast", "realised"]].astype(np.float64)
    centred -= centred.groupby(signs["symbol"]).transform("mean")
    product = signs[["fold", "origin"]].assign(product=centred["forecast"] * centred["realised"], zero=0.0)
    panel = make_panel(product, ["product", "zero"], stride * bar_ms)
    lags = hac_lags(step, stride, panel.origin_times())
    if not panel.suffices(lags) or not panel.of("product").any():
        return None
    mean, _, p = diebold_mariano(panel, "product", "zero", lags)
    return p / 2 if mean > 0 else 1 - p / 2


def direction_verdict(member: str, figures: Sequence[Direction] | None) -> str:
    """A sentence on the direction that a member forecasts, at the first and the last step."""
    name = display_name(member).replace("the", "The", 1)
    if figures is None:
        return f"{name} forecasts no direction: its median is no change at every origin."
    parts = [_sentence(figure) for figure in dict((figure["step"], figure) for figure in figures).values()]
    return f"{name}'s direction: {'; '.join(dict.fromkeys([parts[0], parts[-1]]))}."


def _sentence(figure: Direction) -> str:
    r2, hits, p = figure["r2"], figure["hit_rate"], figure["p"]
    parts = [] if r2 is None else [f"R² {100 * r2:.2f} %"]
    parts += [] if hits is None else [f"hit rate {percent(hits)}"]
    chance = "" if p is None else f" (p {'< 0.001' if p < 0.001 else f'= {p:.2g}'})"
    return f"at step {figure['step']} {', '.join(parts) or 'no change'}{chance}"
