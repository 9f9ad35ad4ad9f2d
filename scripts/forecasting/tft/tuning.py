"""A search of settings by optuna: it goes on where it was killed, and finds the same whether or not it was.

Proposals are the tree-structured Parzen estimator's (Bergstra et al. 2011, NeurIPS 24); a configuration that after a
fold is worse than the median of those before it at that fold is given up.
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
# a trial's title, its configuration, a fold's place → the loss, and its standard error
Measure = Callable[[str, dict[str, Any], int], tuple[float, float]]
# what a trial has measured: [loss, standard error] a fold
MEASURED = "measured"


def make_space(given: Mapping[str, Mapping[str, Any] | None], default: Mapping[str, Any]) -> Space:
    """What may be tried of each setting that is not None, `default`'s value always among it.

    given: a setting's `choices`, or `low`, `high` and `log`; of whole numbers alone, whole numbers are tried.
    """
    space: Space = {}
    for name, of in sorted(given.items()):
        if of is None:
            continue
        own = default[name]
        if of.get("choices"):
            space[name] = CategoricalDistribution(sorted({*of["choices"], own}))
        else:
            low, high, log = min(of["low"], own), max(of["high"], own), bool(of.get("log"))
            whole = all(isinstance(value, int) for value in (low, high, own))
            space[name] = IntDistribution(low, high, log) if whole else FloatDistribution(low, high, log)
    return space


def search(
    journal: Path, space: Space, default: Mapping[str, Any], folds: int, trials: int, seed: int, measure: Measure
) -> list[FrozenTrial]:
    """The configurations tried, completed or given up, in their order, `default` first: `trials` of them, or more if
    `journal` holds more already.

    A trial's value is its mean loss over the folds. Raises UserError when the journal is damaged.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _opened(journal)
    _clear(study, space, default)
    begun, first = time.monotonic(), len(tried(study))
    if first:
        say(f"tune: {first} trials are there already")
    for number in range(first, trials):
        # a sampler's state is not on disk: each proposal has a seed of its own
        study.sampler = optuna.samplers.TPESampler(seed=(seed + number) % 2**32)
        trial, title = study.ask(space), f"tune: trial {number + 1} of {trials}"
        say(f"{title}: {listed(trial.params)}")
        said = _try(study, trial, folds, measure, title)
        left = (time.monotonic() - begun) / (number + 1 - first) * (trials - number - 1)
        best = min(map(loss, _complete(tried(study))), default=math.nan)
        say(f"{title}: {said}, best so far {best:.4f}, about {left:.0f} s left")
    return tried(study)


def choose(trials: Sequence[FrozenTrial]) -> FrozenTrial:
    """The trial with the smallest mean loss; the first, the default, if that is within a standard error of it.

    The one-standard-error rule (Breiman et al. 1984, Classification and Regression Trees, 3.4.3): the error is that of
    the smallest. Raises UserError when no trial was completed.
    """
    complete, default = _complete(trials), trials[0]
    if not complete:
        raise UserError("tune: no configuration could be trained; lower tft.learning_rate, or give more trials")
    best = min(complete, key=loss)
    near = default in complete and loss(default) - loss(best) <= standard_error(best)
    return default if near else best


def loss(trial: FrozenTrial) -> float:
    """Mean loss over the folds that a trial has seen; nan where its training failed."""
    seen = trial.user_attrs.get(MEASURED, [])
    return float(np.mean([value for value, _ in seen])) if seen else math.nan


def standard_error(trial: FrozenTrial) -> float:
    """Standard error of `loss`, the folds' being independent."""
    seen = trial.user_attrs.get(MEASURED, [])
    return math.hypot(*(error for _, error in seen)) / len(seen) if seen else math.nan


def listed(params: Mapping[str, Any]) -> str:
    """A configuration in words."""
    return ", ".join(f"{name} {value:.4g}" for name, value in sorted(params.items()))


def tried(study: optuna.Study) -> list[FrozenTrial]:
    """All trials that came to an end, in their order; not those that were killed."""
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _complete(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state == TrialState.COMPLETE]


def _opened(journal: Path) -> optuna.Study:
    journal.parent.mkdir(parents=True, exist_ok=True)
    try:
        storage = JournalStorage(JournalFileBackend(str(journal)))
        return optuna.create_study(
            storage=storage, study_name="tune", load_if_exists=True, pruner=optuna.pruners.MedianPruner()
        )
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{journal}: not a usable study ({error}); delete it and run again") from error


def _clear(study: optuna.Study, space: Space, default: Mapping[str, Any]) -> None:
    """Make a study that may have been killed ready to go on: what was under way comes next, with what it measured."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if set(trial.params) == set(space):
            study.enqueue_trial(trial.params, user_attrs=trial.user_attrs)
    if not study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.WAITING)):
        study.enqueue_trial({name: default[name] for name in space})


def _try(study: optuna.Study, trial: Trial, folds: int, measure: Measure, title: str) -> str:
    """Measure a trial fold by fold, and tell the study; what came of it, in words."""
    seen = list(trial.user_attrs.get(MEASURED, []))
    for fold in range(folds):
        if fold == len(seen):
            try:
                seen.append(measure(title, trial.params, fold))
            except UserError as failed:
                say(str(failed))
                study.tell(trial, state=TrialState.PRUNED)
                return "given up, its training failed"
            trial.set_user_attr(MEASURED, seen)
        mean = float(np.mean([value for value, _ in seen[: fold + 1]]))
        trial.report(mean, fold)
        if fold + 1 < folds and trial.should_prune():
            study.tell(trial, state=TrialState.PRUNED)
            return f"loss {mean:.4f}, given up after {fold + 1} of {folds} folds"
    study.tell(trial, mean)
    return f"loss {mean:.4f}"
