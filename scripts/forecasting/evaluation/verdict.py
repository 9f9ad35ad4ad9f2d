"""Whether a model beats the baselines: its losses against every baseline's, the significance, and a plain sentence.

docs/evaluation.md defines each figure.
"""

from collections.abc import Sequence

import numpy as np

from forecasting.documents import Comparison, Difference, Skill, SkillTest
from forecasting.evaluation.significance import (
    LossPanel,
    bootstrap_losses,
    confidence_set,
    diebold_mariano,
    skill_interval,
)
from forecasting.members import MODELS, ORACLE, TFT, baselines, display_name

SIGNIFICANCE_LEVEL = 0.05


def compare(panel: LossPanel, lags: int) -> Comparison:
    """Every model against every baseline, every member against the best one, and what follows for the first model.

    Standard errors, p-values, confidence intervals and the confidence set are None where there are too few origin
    times. The oracle is no candidate for the set: few others could be in it.
    """
    rivals, models = baselines(panel.members), [name for name in MODELS if name in panel.members]
    best = min(rivals, key=lambda name: panel.of(name).sum())
    draws = bootstrap_losses(panel, lags + 1) if panel.suffices(lags) else None
    comparisons = {model: _against_baselines(panel, model, rivals, lags, draws) for model in models}
    differences = {model: _difference(panel, model, best, comparisons[model][best], lags) for model in models}
    evaluated = models[0] if models else None
    candidates = [name for name in panel.members if name != ORACLE]
    return {
        "evaluated_model": evaluated,
        "best_baseline": best,
        "skill_vs_best_baseline": comparisons[evaluated][best]["skill"] if evaluated else None,
        "difference": differences[evaluated] if evaluated else None,
        "comparisons": comparisons,
        "vs_best_baseline": {name: _skill(panel, name, best, draws) for name in panel.members},
        "confidence_set": None if draws is None else confidence_set(panel, candidates, lags + 1),
        "verdict": verdict(differences[evaluated])
        if evaluated
        else f"No model has forecasts in every fold, so none is evaluated; the best baseline is {best}.",
        "verdict_tft": verdict(differences[TFT]) if TFT in differences and evaluated != TFT else None,
    }


def verdict(difference: Difference) -> str:
    """A plain sentence on a model's difference to the best baseline, with two standard errors."""
    model = display_name(difference["model"]).replace("the", "The", 1)
    error, p = difference["standard_error"], difference["p_holm"]
    amount = f"{100 * abs(difference['mean']):.2f} %" + ("" if error is None else f" ± {200 * error:.2f}")
    significance = " (too few origins for a significance test)"
    if p is not None:
        significance = f", p {'< 0.001' if p < 0.001 else f'= {p:.2g}'}"
        significance += "" if difference["significant"] else " (not significant)"
    rival = f"the best baseline ({difference['baseline']})"
    if difference["mean"] == 0:
        return f"{model} does not beat {rival}: their losses are equal. Use the baseline."
    if difference["mean"] > 0:
        return f"{model} does not beat {rival}: {amount} worse in pinball loss{significance}. Use the baseline."
    if not difference["significant"]:
        return f"{model} may or may not beat {rival}: {amount} better in pinball loss{significance}."
    return f"{model} beats {rival} by {amount} in pinball loss{significance}."


def _skill(panel: LossPanel, member: str, baseline: str, draws: np.ndarray | None) -> Skill:
    """Skill and its 95 % confidence interval."""
    interval = None
    if draws is not None:
        interval = skill_interval(draws[:, panel.members.index(member)], draws[:, panel.members.index(baseline)])
    return {"skill": float(1 - panel.of(member).sum() / panel.of(baseline).sum()), "confidence_interval": interval}


def _against_baselines(
    panel: LossPanel, model: str, rivals: Sequence[str], lags: int, draws: np.ndarray | None
) -> dict[str, SkillTest]:
    """The model's skill against each baseline, with its significance; p_holm is corrected for their number."""
    skills = {rival: _skill(panel, model, rival, draws) for rival in rivals}
    if draws is None:
        return {rival: {**skill, "standard_error": None, "p": None, "p_holm": None} for rival, skill in skills.items()}
    # slow to import, but arch, of which the draws are, has done so already
    from statsmodels.stats.multitest import multipletests

    tests = [diebold_mariano(panel, model, rival, lags) for rival in rivals]
    corrected = multipletests([p for _, _, p in tests], method="holm")[1].tolist()
    compared: dict[str, SkillTest] = {}
    for rival, (_, error, p), p_holm in zip(rivals, tests, corrected, strict=True):
        mean = panel.of(rival).sum() / panel.origins.sum()
        compared[rival] = {**skills[rival], "standard_error": float(error / mean), "p": p, "p_holm": p_holm}
    return compared


def _difference(panel: LossPanel, model: str, baseline: str, against: SkillTest, lags: int) -> Difference:
    """The model's loss less the baseline's, relative to that."""
    p = against["p_holm"]
    return {
        "model": model,
        "baseline": baseline,
        "mean": -against["skill"],
        "standard_error": against["standard_error"],
        "p": against["p"],
        "p_holm": p,
        "significant": p is not None and p < SIGNIFICANCE_LEVEL,
        "lags": lags,
        "origin_times": panel.origin_times(),
        "origins": int(panel.origins.sum()),
    }
