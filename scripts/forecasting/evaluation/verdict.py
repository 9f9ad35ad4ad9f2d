"""Is a model worth it: its losses against every baseline's, how sure that is, and a plain sentence.

docs/evaluation.md says what each figure is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from forecasting.evaluation.significance import (
    Panel,
    confidence_set,
    diebold_mariano,
    enough,
    holm,
    resampled,
    skill_interval,
)
from forecasting.members import MODELS, ORACLE, TFT, baselines, display_name

SIGNIFICANT = 0.05


def compare(panel: Panel, lags: int) -> dict[str, Any]:
    """Every model against every baseline, every member against the best one, and what follows for the first model.

    Standard errors, p-values, bands and the confidence set are None where there are too few moments. The oracle is no
    candidate for the set: beside one who knows the future, few could stay.
    """
    rivals, models = baselines(panel.members), [name for name in MODELS if name in panel.members]
    best = min(rivals, key=lambda name: panel.of(name).sum())
    draws = resampled(panel, lags + 1) if enough(panel, lags) else None
    comparisons = {model: _against(panel, model, rivals, lags, draws) for model in models}
    gaps = {model: _difference(panel, model, best, comparisons[model][best], lags) for model in models}
    evaluated_model = models[0] if models else None
    candidates = [name for name in panel.members if name != ORACLE]
    return {
        "evaluated_model": evaluated_model,
        "best_baseline": best,
        "skill_vs_best_baseline": comparisons[evaluated_model][best]["skill"] if evaluated_model else None,
        "difference": gaps[evaluated_model] if evaluated_model else None,
        "comparisons": comparisons,
        "against_best": {name: _skill(panel, name, best, draws) for name in panel.members},
        "confidence_set": None if draws is None else confidence_set(panel, candidates, lags + 1),
        "verdict": verdict(gaps[evaluated_model])
        if evaluated_model
        else f"There is no model to judge: the best baseline is {best}.",
        "verdict_tft": verdict(gaps[TFT]) if TFT in gaps and evaluated_model != TFT else None,
    }


def verdict(gap: Mapping[str, Any]) -> str:
    """A plain sentence on a model's difference to the best baseline, with two standard errors."""
    who = display_name(gap["model"]).replace("the", "The", 1)
    error, p = gap["standard_error"], gap["p_holm"]
    amount = f"{100 * abs(gap['mean']):.2f} %" + ("" if error is None else f" ± {200 * error:.2f}")
    doubt = " (too few origins to be sure)"
    if p is not None:
        doubt = f", p {'< 0.001' if p < 0.001 else f'= {p:.2g}'}{'' if gap['significant'] else ' (not significant)'}"
    rival = f"the best baseline ({gap['baseline']})"
    if gap["mean"] == 0:
        return f"{who} does not beat {rival}: it says the same. Use the baseline."
    if gap["mean"] > 0:
        return f"{who} does not beat {rival}: {amount} worse in pinball loss{doubt}. Use the baseline."
    if not gap["significant"]:
        return f"{who} may or may not beat {rival}: {amount} better in pinball loss{doubt}."
    return f"{who} beats {rival} by {amount} in pinball loss{doubt}."


def _skill(panel: Panel, member: str, baseline: str, draws: np.ndarray | None) -> dict[str, Any]:
    """Skill and its 95 % band."""
    interval_95 = None
    if draws is not None:
        interval_95 = skill_interval(draws[:, panel.members.index(member)], draws[:, panel.members.index(baseline)])
    return {"skill": float(1 - panel.of(member).sum() / panel.of(baseline).sum()), "confidence_interval": interval_95}


def _against(
    panel: Panel, model: str, rivals: Sequence[str], lags: int, draws: np.ndarray | None
) -> dict[str, dict[str, Any]]:
    """The model's skill against each baseline, and how sure it is; p_holm is corrected for their number."""
    tests = [diebold_mariano(panel, model, rival, lags) for rival in rivals]
    corrected = holm([test[2] for test in tests])
    told = {}
    for rival, (_, error, p), p_holm in zip(rivals, tests, corrected, strict=True):
        size = panel.of(rival).sum() / panel.origins.sum()
        sure = {"standard_error": error / size, "p": p, "p_holm": p_holm}
        told[rival] = _skill(panel, model, rival, draws) | (sure if draws is not None else dict.fromkeys(sure))
    return told


def _difference(panel: Panel, model: str, baseline: str, against: Mapping[str, Any], lags: int) -> dict[str, Any]:
    """The model's loss less the baseline's, relative to that."""
    p = against["p_holm"]
    return {
        "model": model,
        "baseline": baseline,
        "mean": -against["skill"],
        "standard_error": against["standard_error"],
        "p": against["p"],
        "p_holm": p,
        "significant": p is not None and p < SIGNIFICANT,
        "lags": lags,
        "moments": panel.moments(),
        "origins": int(panel.origins.sum()),
    }
