"""Scores of sample paths over all origin times: means, tests against rivals, reliability of touching, drawdowns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from forecasting.evaluation.significance import diebold_mariano, make_panel
from forecasting.hac import hac_sum
from forecasting.paths.documents import PathTest, Tenth
from forecasting.paths.scores import Scored

TENTHS = 10


@dataclass
class Record:
    """Scores of several methods, as they come in: one list item an origin time, fold by fold in time's order."""

    folds: list[int] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    scores: dict[str, list[Scored]] = field(default_factory=dict)

    def add(self, fold: int, origin: int, scores: Mapping[str, Scored]) -> None:
        """One more origin time, with the same methods as those before."""
        self.folds.append(fold)
        self.origins.append(origin)
        for method, scored in scores.items():
            self.scores.setdefault(method, []).append(scored)

    def losses(self) -> dict[str, dict[str, float]]:
        """Mean losses by score and method."""
        names = next(iter(self.scores.values()))[0].losses
        return {
            name: {
                method: float(np.mean([one.losses[name] for one in scored])) for method, scored in self.scores.items()
            }
            for name in names
        }

    def tests(self, method: str, spacing: int, lags: int) -> dict[str, dict[str, PathTest]]:
        """The method against each other one, by score. spacing: ms between origin times; lags: of the HAC variance."""
        return {name: self._test(name, method, spacing, lags) for name in self.losses()}

    def touching(self, lags: int) -> dict[str, list[Tenth]]:
        """Reliability of the probabilities of touching, by method and tenth."""
        return {
            method: [_tenth(tenth, scored, np.array(self.folds), lags) for tenth in range(TENTHS)]
            for method, scored in self.scores.items()
        }

    def drawdown_pit(self) -> dict[str, list[float]]:
        """Shares of the drawdowns' PIT in each tenth, by method."""
        return {method: _shares([one.drawdown for one in scored]) for method, scored in self.scores.items()}

    def _test(self, name: str, method: str, spacing: int, lags: int) -> dict[str, PathTest]:
        table = pd.DataFrame({member: [one.losses[name] for one in scored] for member, scored in self.scores.items()})
        panel = make_panel(table.assign(fold=self.folds, origin=self.origins), list(table.columns), spacing)
        rivals = [rival for rival in table.columns if rival != method]
        skills = {rival: _skill(panel.of(method).sum(), panel.of(rival).sum()) for rival in rivals}
        if not panel.suffices(lags):
            return {
                rival: PathTest(skill=skill, standard_error=None, p=None, p_holm=None)
                for rival, skill in skills.items()
            }
        # slow to import
        from statsmodels.stats.multitest import multipletests

        tests = {rival: diebold_mariano(panel, method, rival, lags) for rival in rivals}
        corrected = multipletests([p for _, _, p in tests.values()], method="holm")[1].tolist()
        return {
            rival: PathTest(
                skill=skills[rival],
                standard_error=None if not table[rival].any() else float(error / table[rival].mean()),
                p=p,
                p_holm=p_holm,
            )
            for (rival, (_, error, p)), p_holm in zip(tests.items(), corrected, strict=True)
        }


def _skill(loss: float, rival: float) -> float | None:
    return float(1 - loss / rival) if rival else None


def _tenth(tenth: int, scored: Sequence[Scored], folds: np.ndarray, lags: int) -> Tenth:
    """Events in one tenth, with the standard error of observed less forecast: HAC along each fold."""
    inside = [np.minimum((one.touching * TENTHS).astype(np.int64), TENTHS - 1) == tenth for one in scored]
    events = np.array([mask.sum() for mask in inside])
    forecast, observed = (
        np.array([getattr(one, name)[mask].sum() for one, mask in zip(scored, inside, strict=True)])
        for name in ("touching", "touched")
    )
    count = int(events.sum())
    if not count:
        return {"lower": tenth / TENTHS, "events": 0, "forecast": None, "observed": None, "standard_error": None}
    off = observed - forecast
    centred = off - off.sum() / count * events
    error = np.sqrt(sum(hac_sum(centred[folds == fold], lags) for fold in np.unique(folds))) / count
    return {
        "lower": tenth / TENTHS,
        "events": count,
        "forecast": float(forecast.sum() / count),
        "observed": float(observed.sum() / count),
        "standard_error": float(error),
    }


def _shares(values: Sequence[np.ndarray]) -> list[float]:
    flat = np.concatenate(values)
    return (np.histogram(flat, TENTHS, (0, 1))[0] / len(flat)).tolist()
