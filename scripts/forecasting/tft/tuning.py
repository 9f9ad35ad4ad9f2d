"""A hyperparameter search by optuna: resumable after a kill, with the same result as without an interruption.

Configurations are proposed by the tree-structured Parzen estimator (Bergstra et al. 2011, NeurIPS 24); one that after a
fold is worse than the median of the earlier ones at that fold is pruned.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from common.errors import UserError
from common.job import say

Space = dict[str, BaseDistribution]
# a trial's title, its configuration, a fold's position → the loss, and its standard error
Objective = Callable[[str, dict[str, Any], int], tuple[float, float]]
# a trial's attribute of its results: [loss, standard error] a fold
MEASURED = "measured"


def make_space(given: Mapping[str, Mapping[str, Any] | None], default: Mapping[str, Any]) -> Space:
    """The search space of each setting that is not None; it always holds the value in `default`.

    given: a setting's `choices`, or `low`, `high` and `log`; bounds that are whole numbers give whole numbers.
    """
    space: Space = {}
    for name, spec in sorted(given.items()):
        if spec is None:
            continue
        value = default[name]
        if spec.get("choices"):
            space[name] = CategoricalDistribution(sorted({*spec["choices"], value}))
        else:
            low, high, log = min(spec["low"], value), max(spec["high"], value), bool(spec.get("log"))
            whole = all(isinstance(number, int) for number in (low, high, value))
            space[name] = IntDistribution(low, high, log) if whole else FloatDistribution(low, high, log)
    return space


def search(
    journal: Path, space: Space, default: Mapping[str, Any], folds: int, trials: int, seed: int, objective: Objective
) -> list[FrozenTrial]:
    """All trials, completed or pruned, in their order, `default` first: `trials` of them, or more if `journal` holds
    more already.

    A trial's value is its mean loss over the folds. Raises UserError when the journal is damaged.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _open_study(journal)
    _resume(study, space, default)
    started, first = time.monotonic(), len(finished(study))
    if first:
        say(f"tune: {first} trials are already done")
    for number in range(first, trials):
        # a sampler's state is not on disk: each proposal has its seed
        study.sampler = optuna.samplers.TPESampler(seed=(seed + number) % 2**32)
        trial, title = study.ask(space), f"tune: trial {number + 1} of {trials}"
        say(f"{title}: {in_words(trial.params)}")
        result = _evaluate(study, trial, folds, objective, title)
        left = (time.monotonic() - started) / (number + 1 - first) * (trials - number - 1)
        best = min(map(loss, _completed(finished(study))), default=math.nan)
        say(f"{title}: {result}, best so far {best:.4f}, about {left:.0f} s left")
    return finished(study)


def choose(trials: Sequence[FrozenTrial]) -> FrozenTrial:
    """The trial with the smallest mean loss; the first, the default, if it is within a standard error of that.

    The one-standard-error rule (Breiman et al. 1984, Classification and Regression Trees, 3.4.3): the error is that of
    the smallest loss. Raises UserError when no trial was completed.
    """
    completed, default = _completed(trials), trials[0]
    if not completed:
        raise UserError("every trial failed; lower tft.learning_rate, or increase tuning.trials")
    best = min(completed, key=loss)
    near = default in completed and loss(default) - loss(best) <= standard_error(best)
    return default if near else best


def loss(trial: FrozenTrial) -> float:
    """Mean loss over the folds that a trial was evaluated on; NaN where its training failed."""
    results = trial.user_attrs.get(MEASURED, [])
    return float(np.mean([value for value, _ in results])) if results else math.nan


def standard_error(trial: FrozenTrial) -> float:
    """Standard error of `loss`, with independent folds."""
    results = trial.user_attrs.get(MEASURED, [])
    return math.hypot(*(error for _, error in results)) / len(results) if results else math.nan


def in_words(params: Mapping[str, Any]) -> str:
    """A configuration as text."""
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(params.items()))


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """All completed and pruned trials in their order; not those that were killed."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _completed(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state == TrialState.COMPLETE]


def _open_study(journal: Path) -> optuna.Study:
    journal.parent.mkdir(parents=True, exist_ok=True)
    try:
        storage = JournalStorage(JournalFileBackend(str(journal)))
        return optuna.create_study(
            storage=storage, study_name="tune", load_if_exists=True, pruner=optuna.pruners.MedianPruner()
        )
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{journal}: not a usable study ({error}); delete it and run again") from error


def _resume(study: optuna.Study, space: Space, default: Mapping[str, Any]) -> None:
    """Prepare a study that may have been killed: a trial that was running is next, with the results that it has."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if set(trial.params) == set(space):
            study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)
    if not study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.WAITING)):
        study.enqueue_trial({name: default[name] for name in space})


def _evaluate(study: optuna.Study, trial: Trial, folds: int, objective: Objective, title: str) -> str:
    """Evaluate a trial fold by fold, and report it to the study; its result as text."""
    results = list(trial.user_attrs.get(MEASURED, []))
    for fold in range(folds):
        if fold == len(results):
            try:
                results.append(objective(title, trial.params, fold))
            except UserError as failed:
                say(str(failed))
                study.tell(trial, state=TrialState.PRUNED)
                return "pruned, its training failed"
            trial.set_user_attr(MEASURED, results)
        mean = float(np.mean([value for value, _ in results[: fold + 1]]))
        trial.report(mean, fold)
        if fold + 1 < folds and trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return f"loss {mean:.4f}, pruned after {fold + 1} of {folds} folds"
    study.tell(trial, mean)
    return f"loss {mean:.4f}"
