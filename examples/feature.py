"""Two features: a column of its own, and one for each of the config's spans."""

import numpy as np
import pandas as pd

from market.features import Segment


def body_share(segment: Segment) -> np.ndarray:
    """The return of a bar as a share of its range, from -1 to 1; 0 where it has no range."""
    spread = segment.high - segment.low
    return np.divide(segment.close - segment.open, spread, out=np.zeros(len(spread)), where=spread > 0)


def volume_surprise(segment: Segment, span: int) -> np.ndarray:
    """Logarithm of the volume over its median in the last `span` bars."""
    median = pd.Series(segment.volume).rolling(span).median().to_numpy()
    return np.log((segment.volume + 1e-9) / (median + 1e-9))
