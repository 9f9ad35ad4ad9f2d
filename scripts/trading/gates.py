"""The conditions of a BUY that do not hang on its plan: is the forecast to be trusted, here and now?

Each has a figure, its threshold and a sentence. All are reported; those that the config requires must pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from forecasting.documents import Evaluation
from forecasting.members import DRIFT, ENSEMBLE, display_name
from forecasting.novelty import Novelty
from market.candles import Quality
from trading.documents import AGREEMENT, CALIBRATION, DATA_QUALITY, DIRECTION, FRESHNESS, NOVELTY, SKILL

SIGNIFICANCE = 0.05
COVERAGE, MOST_OFF, REJECTED = 0.9, 0.03, 0.01
MOST_MISSING = 0.02
MOST_NOVEL = 0.999
LEAST_AGREEMENT = 0.5


class DataQuality(NamedTuple):
    """Of the bars before a decision: how many there should be, how many of them are missing, filled and frozen."""

    expected: int
    missing: int
    filled: int
    frozen: int

    @classmethod
    def of(cls, quality: Quality) -> "DataQuality":
        """That of the record of a window's candles."""
        frozen = sum(span["bars"] for span in quality["frozen_spans"])
        return cls(quality["expected"], quality["missing"], quality["filled"], frozen)


@dataclass(frozen=True)
class Gate:
    """A condition of a BUY. figure, threshold: what is compared, a figure that is unknown None. `detail` is a clause
    with its numbers, true as it stands whether passed or not."""

    name: str
    passed: bool
    figure: float | None
    threshold: float
    detail: str


def freshness_gate(age: float, bar_ms: int) -> Gate:
    """Is the decision sealed at most one bar after the close that it stands on? age: seconds since that."""
    bar = bar_ms / 1000
    passed = age <= bar
    verb = "at most" if passed else "more than"
    again = "" if passed else "; decide again on fresh candles: make refresh"
    detail = f"the decision is sealed {age:.0f} s after its last close, {verb} one bar ({bar:g} s){again}"
    return Gate(FRESHNESS, passed, age, bar, detail)


def skill_gate(evaluation: Evaluation) -> Gate:
    """Is the evaluated model's loss smaller than the best baseline's, significantly (HAC Diebold-Mariano)?"""
    model, skill = evaluation["evaluated_model"], evaluation["skill_vs_best_baseline"]
    difference = evaluation["difference"]
    if model is None or skill is None or difference is None:
        return Gate(SKILL, False, None, SIGNIFICANCE, "no model has forecasts in every fold, so its skill is unknown")
    p, better = difference["p_holm"], skill > 0
    passed = better and difference["significant"]
    significance = "too few origins for a test" if p is None else f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"
    verb = "beats" if passed else "may or may not beat" if better else "does not beat"
    detail = (
        f"{display_name(model)} {verb} the best baseline ({evaluation['best_baseline']}): its skill is "
        f"{100 * skill:+.2f} %, {'significant' if passed else 'not significant'} ({significance})"
    )
    return Gate(SKILL, passed, p, SIGNIFICANCE, detail)


def direction_gate(evaluation: Evaluation) -> Gate:
    """Did the evaluated model's median tell the sign of the outcome at the last step (Pesaran-Timmermann)?"""
    model = evaluation["evaluated_model"]
    steps = evaluation["direction"].get(model) if model else None
    if model is None or not steps:
        told = f"{display_name(model)} forecasts no direction" if model else "no model is evaluated"
        return Gate(DIRECTION, False, None, SIGNIFICANCE, f"{told}, so nothing tells of its signs")
    last = steps[-1]
    p, hit_rate = last["p"], last["hit_rate"]
    passed = p is not None and p < SIGNIFICANCE
    rate = "unknown" if hit_rate is None else f"{100 * hit_rate:.1f} %"
    significance = "too few origins for a test" if p is None else f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"
    detail = (
        f"the hit rate of {display_name(model)} at step {last['step']} is {rate}, "
        f"{'significant' if passed else 'not significant'} ({significance})"
    )
    return Gate(DIRECTION, passed, p, SIGNIFICANCE, detail)


def calibration_gate(evaluation: Evaluation) -> Gate:
    """Did the 90 % interval of the evaluated model hold 90 % of the outcomes, and were its misses independent?"""
    model = evaluation["evaluated_model"] or ENSEMBLE
    scores, tests = evaluation["members"].get(model), evaluation["coverage_tests"].get(model)
    if evaluation["evaluated_model"] is None or scores is None or tests is None:
        return Gate(CALIBRATION, False, None, MOST_OFF, "no model is evaluated, so its coverage is unknown")
    coverage = scores["coverage90"]
    off = round(abs(coverage - COVERAGE), 9)
    known = {name: tests[name] for name in ("kupiec", "christoffersen") if tests[name] is not None}
    told = ", ".join(f"{name.capitalize()} p = {p:.2g}" for name, p in known.items()) or "too few origins for a test"
    passed = off <= MOST_OFF and all(p is None or p >= REJECTED for p in known.values())
    low, high = 100 * (COVERAGE - MOST_OFF), 100 * (COVERAGE + MOST_OFF)
    detail = (
        f"the 90 % interval of {display_name(model)} covers {100 * coverage:.1f} % (asked: {low:.0f} to {high:.0f} %); "
        f"its misses: {told} (asked: p of {REJECTED:g} or more)"
    )
    return Gate(CALIBRATION, passed, off, MOST_OFF, detail)


def data_quality_gate(quality: DataQuality) -> Gate:
    """Are the candles up to the decision whole? Missing bars count, those filled, and those of a frozen price."""
    expected, missing, filled, frozen = quality
    share = (missing + filled + frozen) / max(1, expected)
    passed = share <= MOST_MISSING
    detail = (
        f"{100 * share:.2f} % of the {expected} bars before the decision are missing "
        f"({missing}), filled ({filled}) or frozen ({frozen}), "
        f"{'at most' if passed else 'more than'} {100 * MOST_MISSING:g} %"
    )
    return Gate(DATA_QUALITY, passed, share, MOST_MISSING, detail)


def novelty_gate(found: Novelty) -> Gate:
    """Are the features at the decision like those of training?"""
    passed = found.percentile <= MOST_NOVEL
    detail = (
        f"the features are farther from the mean of training than {100 * found.percentile:.2f} % of its bars "
        f"(Mahalanobis distance), {'at most' if passed else 'more than'} {100 * MOST_NOVEL:g} %; "
        f"{100 * found.outside:.0f} % of them are outside their range"
    )
    return Gate(NOVELTY, passed, found.percentile, MOST_NOVEL, detail)


def rising_shares(paths: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Share [steps] of the weight of members whose median [steps] rises.

    A member whose median is no change at every step has that of `drift`, as it has in the ensemble.
    """
    direction = paths.get(DRIFT)
    total, shares = sum(weights.get(name, 0.0) for name in paths), np.zeros(len(next(iter(paths.values()))))
    for name, median in paths.items():
        told = direction if direction is not None and not median.any() else median
        shares += weights.get(name, 0.0) * (told > 0)
    return np.round(shares / total, 6) if total else shares


def agreement_gate(share: float, time: str) -> Gate:
    """Does most of the members' weight forecast a rise by the plan's exit?"""
    passed = share >= LEAST_AGREEMENT
    detail = (
        f"members with {100 * share:.0f} % of the weight forecast a rise by {time}, "
        f"{'at least' if passed else 'less than'} {100 * LEAST_AGREEMENT:g} %"
    )
    return Gate(AGREEMENT, passed, share, LEAST_AGREEMENT, detail)
