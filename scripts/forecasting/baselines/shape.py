"""How the latest bars moved, beside how much: regressors of log volatility, each causal.

Jumps by bipower variation: Barndorff-Nielsen and Shephard (2004), Power and bipower variation with stochastic
volatility and jumps, J. Financial Econometrics 2(1). Volume: Karpoff (1987), The relation between price changes and
trading volume, J. Financial and Quantitative Analysis 22(1).
"""

from collections.abc import Sequence

import numpy as np

from forecasting.bars import Bars, returns, smooth

MOST = 4.0  # a trend counts as at most so many of its deviations


def shape_regressors(bars: Bars, scales: Sequence[float], floor: float, volume_floor: float) -> list[np.ndarray]:
    """Nine regressors [rows] of the bars, over time scales in bars, of which the third is a horizon: volume over the
    second, third and fourth scale against the longest; over a horizon jumps' and the range's share of the variance, the
    deviation's variation, and the share of rises; the trend over the third and fourth scale.

    floor: added to variances. volume_floor: added to volumes.
    """
    horizon = scales[2]
    moves = np.nan_to_num(returns(bars.log_close, bars.segment))
    squares, size = moves**2, np.abs(moves)
    smoothed = smooth(squares, horizon) + floor
    volume = bars.volume + volume_floor
    usual = np.log(smooth(volume, scales[-1]))
    bipower = np.pi / 2 * size * np.concatenate([[0.0], size[:-1]])
    # a bar's variance is the mean of the square and the range's
    ranges = np.maximum(2 * bars.variance - squares, 0.0)
    deviation = np.sqrt(bars.variance)
    typical = smooth(deviation, horizon)
    variation = np.sqrt(np.maximum(smooth(bars.variance, horizon) - typical**2, 0.0)) / (typical + np.sqrt(floor))
    trends = [
        smooth(moves, scale) * np.sqrt(2 * scale + 1) / np.sqrt(smooth(squares, scale) + floor) for scale in scales[2:4]
    ]
    return [
        *(np.log(smooth(volume, scale)) - usual for scale in scales[1:4]),
        np.log((smooth(bipower, horizon) + floor) / smoothed),
        np.log((smooth(ranges, horizon) + floor) / smoothed),
        variation,
        smooth((moves > 0).astype(np.float64), horizon),
        *(np.minimum(np.abs(trend), MOST) for trend in trends),
    ]
